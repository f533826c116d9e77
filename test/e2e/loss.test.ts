/**
 * A node that is killed at each barrier of a checkpoint and of a restart: the operation ends everywhere, the
 * survivors are thawed, the error names the node, and the job goes on from its newest generation with the nodes that are left.
 */
import type { FaultPoint } from '../../core/faults';
import { JobState, type Operation } from '../../proto/gen/holdfast/v1/coordinator';
import { openStore } from '../../store/open';
import { jobOutput } from '../harness/jobOutput';
import { Stack } from '../harness/stack';
import { intactGenerations, orphans } from './generations';
import { armStop, heldPids, stopped, thawed } from './hang';
import { expectUndisturbed, type MpiJob, startMpiJob } from './mpiJob';
import { Operations } from './operations';
import { Residue } from './residue';
import { goesOn, jobEnd, RESTARTED, until } from './survival';
import { told } from './told';

const NODES = ['node1', 'node2', 'node3'];
const LEASE_MS = 5000;

let stack: Stack;
let operations: Operations;
let residue: Residue;
let job: MpiJob;
/** The node beside node1 that has a part of the job, and the one that has none. */
let partner = 'node2';
let spare = 'node3';
const generations: number[] = [];

const store = () => openStore(`file://${stack.directory}/store`);

/** Power off; the agent that stands at its fault point does not wake up before. */
async function powerOff(name: string): Promise<void> {
  const node = stack.node(name);
  const killed = node.kill();
  await until(`${name} off`, () => (node.alive ? null : true));
  stack.agents.get(name)?.resume();
  await killed;
}

async function powerOn(node: string): Promise<void> {
  await stack.node(node).boot();
  await stack.startAgent(node);
}

async function cells(nodes: readonly string[]): Promise<Map<string, string[]>> {
  const { id, trees, incarnation } = await operations.job(job.id, 'is known', () => true);
  const on = (name: string) => trees.filter(({ node }) => node === name);
  return new Map(nodes.map((name) => [name, on(name).map(({ treeId }) => `${id}.${treeId}.${incarnation}`)]));
}

async function commit(): Promise<void> {
  const { phase, error, generation } = await operations.ended(await operations.checkpoint(job.id));
  expect({ phase, error }).toEqual({ phase: 'DONE', error: undefined });
  generations.push(generation);
}

/** The job runs on node1 and the other node, from the newest generation, with its own output. */
async function expectRecovered(restartCount: number, other: string): Promise<void> {
  const isThere = (state: JobState, count: number) => state === JobState.RUNNING && count === restartCount;
  const what = `runs after ${restartCount} restarts`;
  const view = await operations.job(job.id, what, (one) => isThere(one.state, one.restartCount), 60_000);
  expect([...new Set(view.trees.map(({ node }) => node))].sort()).toEqual(['node1', other]);
  await goesOn(job.output);
  expectUndisturbed(job);
  expect(await intactGenerations(store(), job.id)).toEqual(generations);
  expect(await operations.generations(job.id)).toEqual(generations);
  expect(await orphans(store(), job.id)).toEqual([]);
}

function expectLoss(operation: Operation | undefined, node: string): void {
  expect({ phase: operation?.phase, code: operation?.error?.code }).toEqual({
    phase: 'ABORTED',
    code: 'NODE_LOST',
  });
  expect(operation?.error?.message).toContain(`node ${node} was lost`);
}

const restartCount = async (): Promise<number> =>
  (await operations.job(job.id, 'is known', () => true)).restartCount;

beforeAll(async () => {
  stack = await Stack.start({ nodes: NODES, store: 'directory', leaseMs: LEASE_MS });
  operations = new Operations(stack, 'node1');
  job = await startMpiJob(stack, { memoryMib: 16, flags: RESTARTED });
  residue = new Residue(stack, ['node1']);
  await commit();
});
afterAll(() => stack?.stop());

const CHECKPOINT_BARRIERS: readonly [string, FaultPoint][] = [
  ['CAPTURE', 'agent.capture.done'],
  ['RELEASE', 'agent.release.before-gate'],
  ['UPLOAD', 'agent.upload.before-images'],
];

test.each(CHECKPOINT_BARRIERS)('a node killed in %s of a checkpoint', (phase, point) =>
  told(stack, async () => {
    const restarts = await restartCount();
    // Without the spare node the restart waits: so the survivor is seen as the abort leaves it.
    await stack.agents.get(spare)?.stop('SIGKILL');
    await armStop(stack, partner, point);
    residue.before();
    const operation = await operations.checkpoint(job.id);
    await stopped(stack, partner);
    expect((await operations.get(operation))?.phase).toBe(phase);
    if (phase === 'CAPTURE') expect(heldPids(stack, 'node1')).not.toEqual([]);
    await powerOff(partner);
    const thawMs = await thawed(stack, 'node1');
    expect(thawMs).toBeLessThan(LEASE_MS + 3000);
    expectLoss(await operations.ended(operation), partner);
    await residue.none(await cells(['node1']));
    await stack.startAgent(spare);
    await expectRecovered(restarts + 1, spare);
    await powerOn(partner);
    [partner, spare] = [spare, partner];
    await commit();
  }),
);

const RESTART_BARRIERS: readonly [string, FaultPoint][] = [
  ['STAGE', 'agent.stage.files'],
  ['RESTORE', 'agent.restore.filled'],
  ['RESUME', 'agent.resume.fence-down'],
];

test.each(RESTART_BARRIERS)('a node killed in %s of a restart', (phase, point) =>
  told(stack, async () => {
    const restarts = await restartCount();
    const seen = new Map<string, Operation>();
    const watched = watchOperations(seen);
    await armStop(stack, spare, point);
    residue.before();
    await powerOff(partner);
    await stopped(stack, spare);
    const [attempt] = [...seen.values()];
    expect(attempt?.phase).toBe(phase);
    await powerOff(spare);
    const failed = await until('the end of the attempt', () => {
      const operation = seen.get(attempt?.id ?? '');
      return operation !== undefined && operation.endedMs > 0 ? operation : null;
    });
    expectLoss(failed, spare);
    // The next attempt waits for a node: meanwhile nothing of this one is left.
    await residue.none(new Map());
    await powerOn(partner);
    await expectRecovered(restarts + 2, partner);
    watched.abort();
    await powerOn(spare);
    await commit();
  }),
);

test('after all that the job ends with the output of one that was never disturbed', () =>
  told(stack, async () => {
    job.release();
    const { state, exitCode } = await jobEnd(stack, 'node1', job.id);
    expect({ state, exitCode }).toEqual({ state: JobState.COMPLETED, exitCode: 0 });
    expect(jobOutput(job.output)).toBe(job.expected);
    await residue.none(new Map());
  }));

/** Keeps the last state of each operation that begins from now on. */
function watchOperations(seen: Map<string, Operation>): AbortController {
  const abort = new AbortController();
  const work = async () => {
    const connection = await stack.connection('node1');
    for await (const { event } of connection.watch({ $case: 'job', value: job.id }, '', abort.signal)) {
      if (event?.$case === 'operation') seen.set(event.value.id, event.value);
    }
  };
  work().catch(() => {}); // what is missing is missed by the test
  return abort;
}
