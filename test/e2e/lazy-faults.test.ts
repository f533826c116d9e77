/** What fails while the memory of a lazily restarted job is being filled: the job ends as it should, or is ended. */
import { readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { HoldfastError } from '../../core/errors';
import { FAULT_POINTS } from '../../core/faults';
import { type ChunkPlace, startLazyFill } from '../../native';
import { type Job, JobState } from '../../proto/gen/holdfast/v1/coordinator';
import { openStore } from '../../store/open';
import { readText, Stack } from '../harness/stack';
import { compileVictim } from '../harness/victims';
import { manifestsOf } from './generations';
import { Operations } from './operations';
import {
  Brake,
  checkpoint,
  goesOn,
  jobEnd,
  killJob,
  linesAtLeast,
  RESTARTED,
  submit,
  undisturbed,
  until,
} from './survival';
import { told } from './told';

const NODE = 'node1';
let stack: Stack;
let operations: Operations;
let argv: string[];
let expected: string;

beforeAll(async () => {
  // Several packs, however well the memory would shrink.
  const agentFlags = { [NODE]: ['--compression', 'none'] };
  stack = await Stack.start({ nodes: [NODE], store: 'directory', leaseMs: 20_000, agentFlags });
  operations = new Operations(stack, NODE);
  argv = [compileVictim('series', stack.shared), '64', '400', '150'];
  expected = (await undisturbed(stack, NODE, argv)).stdout;
});
afterAll(() => stack?.stop());

interface Restartable {
  readonly id: string;
  readonly output: string;
  readonly ckptId: number;
  readonly brake: Brake;
}

/** A job with a checkpoint that has ended. */
async function ended(name: string, flags: readonly string[] = []): Promise<Restartable> {
  const brake = new Brake(stack, name);
  const submission = { name, argv, nodes: [NODE], env: brake.environment, flags };
  const { id, output } = await submit(stack, submission);
  await linesAtLeast(output, 5);
  const ckptId = await checkpoint(stack, NODE, id);
  await killJob(stack, NODE, id);
  return { id, output, ckptId, brake };
}

/** Another agent, which meets the fault; '' for none. */
async function agentWith(fault: string): Promise<void> {
  await stack.agents.get(NODE)?.stop('SIGKILL');
  await stack.startAgent(NODE, { HOLDFAST_FAULT: fault });
}

const state = (id: string, wanted: JobState): Promise<Job> =>
  operations.job(id, `is ${wanted}`, (job) => job.state === wanted);

/** The agent goes on while something is waited for: it stops itself again after each pack. */
async function going<T>(work: () => Promise<T>): Promise<T> {
  const timer = setInterval(() => stack.agents.get(NODE)?.resume(), 20);
  try {
    return await work();
  } finally {
    clearInterval(timer);
  }
}

async function endsUndisturbed({ id, output, brake }: Restartable): Promise<void> {
  brake.release();
  expect(await jobEnd(stack, NODE, id)).toMatchObject({ state: JobState.COMPLETED, exitCode: 0 });
  expect(readText(output)).toBe(expected);
}

const POINTS = FAULT_POINTS.filter((point) => point.startsWith('agent.lazy.'));

test.each(POINTS)('%s: the agent is killed, and the job restarted by its policy', (point) =>
  told(stack, async () => {
    const job = await ended(point, [...RESTARTED, '--every', '1h']);
    await agentWith(point);
    await operations.restart(job.ckptId, [], true);
    await stack.agents.get(NODE)?.ended();
    await stack.startAgent(NODE);
    await operations.job(
      job.id,
      'runs again',
      (now) => now.state === JobState.RUNNING && now.restartCount > 0,
    );
    await goesOn(job.output);
    await endsUndisturbed(job);
  }),
);

test.each(POINTS)('%s fails: without a policy the job is lost, with the reason', (point) =>
  told(stack, async () => {
    const job = await ended(`${point}-error`);
    await agentWith(`${point}:error`);
    await operations.restart(job.ckptId, [], true);
    const { reason } = await state(job.id, JobState.LOST);
    expect(reason).toContain(`fault injected at ${point}`);
    await agentWith('');
  }),
);

test('the store fails in between: threads wait, it is shown, and the job goes on when the store is back', () =>
  told(stack, async () => {
    const job = await ended('store-gone');
    const objects = join(stack.directory, 'store', 'objects');
    await agentWith('agent.lazy.pages:stop');
    const operation = await operations.restart(job.ckptId, [], true);
    await agentStopped();
    renameSync(objects, `${objects}.away`);
    await going(async () => {
      await until('the store is shown as unavailable', async () => {
        const { stdout } = await stack.holdfast(NODE, ['info', job.id]);
        return /lazy: \d+ % resident, store unavailable since/.test(stdout) ? true : null;
      });
      expect((await operations.ended(operation)).phase).toBe('RUNNING');
      renameSync(`${objects}.away`, objects);
      await until('all memory', () => (stack.logs(40).includes('all memory of the tree') ? true : null));
    });
    await agentWith('');
    await endsUndisturbed(job);
  }));

test('a corrupt chunk ends the job with that reason', () =>
  told(stack, async () => {
    const job = await ended('corrupt');
    await damage(job.id);
    const operation = await operations.restart(job.ckptId, [], true);
    // It may be found before the restart is over.
    const reason = async () => {
      const { error, phase } = (await operations.get(operation)) ?? {};
      if (phase === 'ABORTED') return `${error?.code}: ${error?.message}`;
      const { state, reason } = await operations.job(job.id, 'is known', () => true);
      return state === JobState.LOST ? reason : null;
    };
    expect(await until('a reason', reason)).toMatch(/CORRUPT: .*(pack \d+|blob at \d+ of pack)/);
  }));

test('a checkpoint waits until all memory is there, and is whole', () =>
  told(stack, async () => {
    const job = await ended('checkpoint');
    await agentWith('agent.lazy.pages:stop');
    await operations.restart(job.ckptId, [], true);
    await agentStopped();
    const taken = await going(async () => {
      await state(job.id, JobState.RUNNING);
      return operations.ended(await operations.checkpoint(job.id));
    });
    expect(taken).toMatchObject({ phase: 'DONE', error: undefined });
    await agentWith('');
    await killJob(stack, NODE, job.id);
    const again = await operations.ended(await operations.restart(taken.ckptId, []));
    expect(again.phase).toBe('RUNNING');
    await endsUndisturbed(job);
  }));

/** It has stopped itself at the armed point. Nothing is read that a missing page could keep us waiting for. */
const agentStopped = (): Promise<true> =>
  until('the agent has stopped itself', () => {
    const proc = stack.node(NODE).path('/proc');
    const stats = readdirSync(proc)
      .filter((name) => /^\d+$/.test(name))
      .map((name) => readIfThere(join(proc, name, 'stat')));
    return stats.some((stat) => /^\d+ \(node\) T /.test(stat)) ? true : null;
  });

function readIfThere(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return '';
  }
}

/**
 * Flips a bit in the largest chunk that the index names: one of the array's. A pack has others, too, which were written again before
 * the hold, or must be there before the job runs.
 */
async function damage(id: string): Promise<void> {
  const root = join(stack.directory, 'store');
  const store = openStore(`file://${root}`);
  const tree = (await manifestsOf(store, id))[0]?.nodes[0]?.trees[0];
  const index = await store.get(tree?.index?.key ?? '');
  const [largest] = chunksOf(index).sort((a, b) => b.length - a.length);
  const pack = tree?.packs[(largest?.pack ?? 0) - 1];
  if (largest === undefined || pack === undefined) throw new Error('nothing is stored');
  const path = join(root, 'objects', pack.key);
  const bytes = readFileSync(path);
  const inside = largest.offset + (largest.length >> 1);
  bytes.writeUInt8(bytes.readUInt8(inside) ^ 1, inside);
  writeFileSync(path, bytes);
}

function chunksOf(index: Buffer): ChunkPlace[] {
  const fill = startLazyFill(index, { threads: 1, onWanted: () => {}, onForked: () => {} });
  const chunks: ChunkPlace[] = [];
  try {
    for (;;) chunks.push(fill.chunk(chunks.length));
  } catch (thrown) {
    if (!(thrown instanceof HoldfastError && thrown.code === 'INVALID_ARGUMENT')) throw thrown;
    return chunks;
  } finally {
    fill.close();
  }
}
