/** E1: a command of an abandoned operation has no effect, whichever it is, also after the agent was restarted. */
import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import pino from 'pino';
import type { AgentContext } from '../../../agent/context';
import { Fencing } from '../../../agent/fencing';
import { RunDirectory } from '../../../agent/runDirectory';
import { Dispatcher } from '../../../agent/session/dispatcher';
import { Command } from '../../../proto/gen/holdfast/v1/agent';

type Body = NonNullable<Command['body']>;

/** One that is about no job of ours has no epoch. */
type Fenced = Exclude<Body['$case'], 'discoverSlurm'>;

/** A new command without a row here does not compile. */
const BODIES: { readonly [C in Fenced]: object } = {
  launch: { treeId: 'main', main: true },
  adopt: { treeId: 'main', pid: 1 },
  prepare: {},
  capture: {},
  release: { kill: true },
  upload: {},
  stage: {},
  restore: {},
  resume: {},
  abort: { reason: 'old' },
  kill: { signal: 9 },
};

let directory: string;

beforeEach(async () => {
  directory = await mkdtemp('/tmp/hf-fencing-');
});

afterEach(async () => {
  await rm(directory, { recursive: true, force: true });
});

/** Whatever a command does begins with one of the agent's parts: none may be touched. */
function untouchable(touched: string[]): AgentContext {
  const log = pino({ level: 'silent' });
  return new Proxy({ log } as unknown as AgentContext, {
    get: (target, name) => {
      if (name === 'log') return target.log;
      touched.push(String(name));
      throw new Error(`a stale command touched ${String(name)}`);
    },
  });
}

test.each(Object.keys(BODIES) as Fenced[])('a stale %s is refused', async (kind) => {
  new Fencing(new RunDirectory(join(directory, 'run'))).admit('j-1', 7);
  const touched: string[] = [];
  const fencing = new Fencing(new RunDirectory(join(directory, 'run')));
  const dispatcher = new Dispatcher(untouchable(touched), fencing);
  const body = { $case: kind, value: BODIES[kind] } as unknown as Body;
  const stale = Command.fromPartial({ id: 'c-1', job: 'j-1', generation: 1, epoch: 6, body });
  const result = await dispatcher.execute(stale, () => {});
  expect(result).toMatchObject({
    id: 'c-1',
    body: undefined,
    error: { code: 'STALE_EPOCH', message: 'epoch 6 of job j-1 is over: 7 was seen' },
  });
  expect(touched).toEqual([]);
});

test('a command without an epoch, or of a job that is no name, is refused', async () => {
  const fencing = new Fencing(new RunDirectory(join(directory, 'run')));
  fencing.admit('j-1', 7);
  const dispatcher = new Dispatcher(untouchable([]), fencing);
  const body: Body = { $case: 'kill', value: { signal: 9, belowIncarnation: 0 } };
  const none = await dispatcher.execute(Command.fromPartial({ id: 'c', job: 'j-1', body }), () => {});
  expect(none.error?.code).toBe('STALE_EPOCH');
  const job = '../../etc/cron.d/x';
  const outside = await dispatcher.execute(Command.fromPartial({ id: 'c', job, epoch: 9, body }), () => {});
  expect(outside.error).toMatchObject({ code: 'INVALID_ARGUMENT', message: `not a valid job: ${job}` });
});
