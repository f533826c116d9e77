/** PLAN of a restart while the store does not answer. */
import type { Context } from '../../../coordinator/context';
import { manifestWhenThere, type RestartRequest } from '../../../coordinator/restart/prepare';
import { Signal } from '../../../coordinator/signal';
import { HoldfastError } from '../../../core/errors';
import { Job, JobState } from '../../../proto/gen/holdfast/v1/coordinator';
import { Manifest } from '../../../proto/gen/holdfast/v1/manifest';
import { MemoryStore } from '../../contract/memoryStore';
import { memoryContext } from './retention/memoryContext';
import { MemoryRedis } from './retention/memoryRedis';
import { ManualClock } from './support/manualClock';

const WAIT_MS = 60_000;
const job = Job.fromPartial({ id: 'j-1', state: JobState.RESTARTING, lastGeneration: 1 });
const request: RestartRequest = {
  ...{ kind: 'restart', ckptId: null, nodes: [], outputPath: '', lazy: false, automatic: true },
  ...{ drains: false, notBeforeMs: 0, deadlineMs: null },
};

let clock: ManualClock;
let context: Context;
let isUp: boolean;
let aborting: AbortController;

beforeEach(async () => {
  clock = new ManualClock();
  isUp = false;
  aborting = new AbortController();
  const known = await memoryContext(new MemoryRedis().client(), new MemoryStore(), clock, 0);
  await known.jobs.put(job);
  const manifest = async () => {
    if (!isUp) throw new HoldfastError('STORE_UNAVAILABLE', 'the store is away');
    return Manifest.fromPartial({ version: 1 });
  };
  context = {
    ...known,
    catalog: { list: async () => [], manifest },
    policies: () => ({ restartWaitMs: WAIT_MS }),
    fleet: { registered: new Signal(), lost: new Signal() },
    drains: { changed: new Signal() },
  } as unknown as Context;
});

const plan = (automatic = true) =>
  manifestWhenThere(context, job, { ...request, automatic }, aborting.signal).catch((thrown) => thrown.code);

/** What was begun goes on as far as it can, and then time passes. */
async function pass(ms: number): Promise<void> {
  for (let i = 0; i < 20; i++) await new Promise(setImmediate);
  clock.advance(ms);
}

test('an automatic one goes on when the store is back, and says what it waits for', async () => {
  const planned = plan();
  await pass(10_000);
  expect(context.jobs.get(job.id).reason).toBe('its restart waits for the store: the store is away');
  await pass(10_000);
  isUp = true;
  await pass(10_000);
  expect(await planned).toMatchObject({ version: 1 });
});

test('an automatic one waits no longer than for nodes, and not when nobody wants it any more', async () => {
  const planned = plan();
  for (let i = 0; i < 7; i++) await pass(10_000);
  expect(await planned).toBe('STORE_UNAVAILABLE');
  const unwanted = plan();
  await pass(1_000);
  aborting.abort(new HoldfastError('ABORTED', 'killed'));
  expect(await unwanted).toBe('ABORTED');
});

test('a user is told at once', async () => {
  expect(await plan(false)).toBe('STORE_UNAVAILABLE');
});
