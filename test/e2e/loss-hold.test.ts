/** Whoever is lost while a job is held, the hold ends in time (F1, F2), and nothing half-done is ever committed (B1, B2). */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { JobState, type Operation } from '../../proto/gen/holdfast/v1/coordinator';
import { openStore } from '../../store/open';
import { jobOutput } from '../harness/jobOutput';
import { readText, Stack } from '../harness/stack';
import { intactGenerations, orphans } from './generations';
import { armStop, heldPids, stopped, thawed } from './hang';
import { expectUndisturbed, type MpiJob, startMpiJob } from './mpiJob';
import { Operations } from './operations';
import { Residue } from './residue';
import { goesOn, RESTARTED, restart, until } from './survival';
import { told } from './told';

const NODES = ['node1', 'node2', 'node3'];
const LEASE_MS = 6000;
/** What a watchdog and CRIU may take from their decision to running processes, on a busy machine. */
const THAW_MS = 2000;

let stack: Stack;
let operations: Operations;
let residue: Residue;
let job: MpiJob;
const generations: number[] = [];

const store = () => openStore(`file://${join(stack.directory, 'store')}`);
const currentJob = () => operations.job(job.id, 'is known', () => true);

async function cells(): Promise<Map<string, string[]>> {
  const { id, trees, incarnation } = await currentJob();
  const on = (name: string) => trees.filter(({ node }) => node === name);
  return new Map(NODES.map((name) => [name, on(name).map(({ treeId }) => `${id}.${treeId}.${incarnation}`)]));
}

/** What holds when all is quiet again: the committed generations, the job's output, and nothing else. */
async function expectOrder(): Promise<void> {
  expect(await intactGenerations(store(), job.id)).toEqual(generations);
  expect(await operations.generations(job.id)).toEqual(generations);
  // What a lost node wrote after its time goes when it is back.
  await until('no objects without a generation', async () =>
    (await orphans(store(), job.id)).length === 0 ? true : null,
  );
  await residue.none(await cells());
  expectUndisturbed(job);
}

async function commit(): Promise<void> {
  const { phase, error, generation } = await operations.ended(await operations.checkpoint(job.id));
  expect({ phase, error }).toEqual({ phase: 'DONE', error: undefined });
  generations.push(generation);
}

/** A checkpoint for which every tree is held, and the agent of node2 hangs. */
async function hold(): Promise<string> {
  await armStop(stack, 'node2', 'agent.capture.done');
  const operation = await operations.checkpoint(job.id);
  await stopped(stack, 'node2');
  await until('node1 held', () => (heldPids(stack, 'node1').length > 0 ? true : null));
  expect(heldPids(stack, 'node2')).not.toEqual([]);
  return operation;
}

async function disarm(node: string): Promise<void> {
  await stack.agents.get(node)?.stop('SIGKILL');
  await stack.startAgent(node);
}

function expectAborted({ phase, error }: Operation, reason: string | RegExp): void {
  expect({ phase, message: error?.message }).toEqual({
    phase: 'ABORTED',
    message: expect.stringMatching(reason),
  });
}

const programsOf = (node: string): string[] =>
  stack
    .node(node)
    .processes()
    .map(({ argv }) => argv.join(' '));

/** The node has reported its part of the barrier. */
const captured = (node: string, epoch: number): Promise<true> =>
  until(`${node} captured`, () => {
    const log = readText(join(stack.directory, 'logs', `${node}.log`)).split('\n');
    const isReport = (line: string) =>
      [`"epoch":${epoch},`, '"command":"capture"', 'command done'].every((part) => line.includes(part));
    return log.some(isReport) ? true : null;
  });

/** The job goes on by itself, on other nodes. */
async function movedTo(nodes: readonly string[], restarts: number): Promise<void> {
  const what = `restart ${restarts}`;
  const view = await operations.job(
    job.id,
    what,
    (one) => one.restartCount === restarts && one.state === JobState.RUNNING,
  );
  expect([...new Set(view.trees.map(({ node }) => node))].sort()).toEqual(nodes);
  await goesOn(job.output);
  // What the restart put back is the job's.
  residue.before();
}

/** A restart on the user's request. */
async function moveTo(nodes: readonly string[]): Promise<void> {
  const last = (await (await stack.connection('node1')).call('listCheckpoints', { job: job.id })).checkpoints;
  const operation = await operations.restart(last.at(-1)?.ckptId ?? 0, nodes);
  const { phase, error } = await operations.ended(operation);
  expect({ phase, error }).toEqual({ phase: 'RUNNING', error: undefined });
  await goesOn(job.output);
  residue.before();
}

beforeAll(async () => {
  stack = await Stack.start({ nodes: NODES, store: 'directory', leaseMs: LEASE_MS });
  operations = new Operations(stack, 'node1');
  job = await startMpiJob(stack, { memoryMib: 2, flags: RESTARTED });
  residue = new Residue(stack, NODES);
  await commit();
});
afterEach(async () => {
  for (const name of NODES) {
    await stack.node(name).restoreLink();
    stack.agents.get(name)?.resume();
  }
});
afterAll(() => stack?.stop());

test('an agent that hangs for less than its lease only makes the hold longer', () =>
  told(stack, async () => {
    const operation = await hold();
    stack.agents.get('node2')?.resume();
    const { phase, generation } = await operations.ended(operation);
    expect(phase).toBe('DONE');
    generations.push(generation);
    await goesOn(job.output);
    await expectOrder();
  }));

test('an agent that is killed: its node is thawed at once', () =>
  told(stack, async () => {
    const operation = await hold();
    const killedMs = Date.now();
    await stack.agents.get('node2')?.stop('SIGKILL');
    await thawed(stack, 'node2');
    expect(Date.now() - killedMs).toBeLessThan(THAW_MS);
    await stack.startAgent('node2');
    expectAborted(await operations.ended(operation), /node2 restarted/);
    await goesOn(job.output);
    await expectOrder();
  }));

test('an agent that hangs for longer: the watchdog thaws when the lease ends, and old trees go when it wakes up', () =>
  told(stack, async () => {
    const operation = await hold();
    const heldMs = Date.now();
    await thawed(stack, 'node2');
    expect(Date.now() - heldMs).toBeLessThan(LEASE_MS + THAW_MS);
    expectAborted(await operations.ended(operation), /node node2 was lost/);
    await movedTo(['node1', 'node3'], 1);
    stack.agents.get('node2')?.resume();
    await expectOrder();
    await moveTo(['node1', 'node2']);
  }));

test('a link that is cut before the release arrives: thawed in time, not committed, old trees go when it is back', () =>
  told(stack, async () => {
    await armStop(stack, 'node1', 'agent.capture.done');
    await disarm('node2');
    const { restartCount } = await currentJob();
    const via = new Operations(stack, 'node3');
    const operation = await via.checkpoint(job.id);
    await stopped(stack, 'node1');
    await captured('node2', (await via.get(operation))?.epoch ?? 0);
    await stack.node('node2').cutLink();
    const cutMs = Date.now();
    // Node1 reports now: the barrier is complete, and Release reaches node1 alone.
    stack.agents.get('node1')?.resume();
    await thawed(stack, 'node1');
    expect(Date.now() - cutMs).toBeLessThan(THAW_MS);
    expect(heldPids(stack, 'node2')).not.toEqual([]);
    await thawed(stack, 'node2');
    expect(Date.now() - cutMs).toBeLessThan(LEASE_MS + THAW_MS);
    expectAborted(await operations.ended(operation), /node node2 was lost/);
    await movedTo(['node1', 'node3'], restartCount + 1);
    // Nobody could tell it that it has been replaced: it waits for its peer.
    expect(programsOf('node2')).toContainEqual(expect.stringContaining('mpi_series'));
    await stack.node('node2').restoreLink();
    await expectOrder();
    await disarm('node1');
  }));

test('a link that is cut during a restart: the node tidies up by itself', () =>
  told(stack, async () => {
    await armStop(stack, 'node2', 'agent.restore.filled');
    residue.before();
    const operation = await operations.restart(1, ['node1', 'node2']);
    await stopped(stack, 'node2');
    await stack.node('node2').cutLink();
    stack.agents.get('node2')?.resume();
    expectAborted(await operations.ended(operation), /node node2 was lost/);
    expect(await currentJob()).toMatchObject({ state: JobState.STOPPED });
    // Before anybody could tell it to.
    await residue.none(new Map());
    await stack.node('node2').restoreLink();
    await disarm('node2');
    await moveTo(['node1', 'node2']);
    await expectOrder();
  }));

test('a coordinator that is killed: thawed when the lease ends, aborted when it is back', () =>
  told(stack, async () => {
    await stack.coordinator?.stop('SIGKILL');
    await stack.startCoordinator({ HOLDFAST_FAULT: 'coordinator.checkpoint.barrier' });
    const operation = await operations.checkpoint(job.id);
    await stack.coordinator?.ended();
    const diedMs = Date.now();
    expect(heldPids(stack, 'node1')).not.toEqual([]);
    expect(heldPids(stack, 'node2')).not.toEqual([]);
    await Promise.all(['node1', 'node2'].map((node) => thawed(stack, node)));
    expect(Date.now() - diedMs).toBeLessThan(LEASE_MS + THAW_MS);
    await goesOn(job.output);
    await stack.startCoordinator();
    expectAborted(await operations.ended(operation), /the coordinator was restarted/);
    await expectOrder();
    await commit();
    await goesOn(job.output);
    await expectOrder();
  }));

test('a loss of all that Redis had: the store is enough to restart', () =>
  told(stack, async () => {
    await stack.coordinator?.stop('SIGKILL');
    rmSync(join(stack.directory, 'state'), { recursive: true });
    await stack.startCoordinator();
    // The agent's own connection takes a moment to come back.
    await until('the coordinator answers', async () =>
      (await stack.holdfast('node1', ['jobs'])).code === 0 ? true : null,
    );
    const rebuilt = await stack.json<{ checkpoints: number }>('node1', ['catalog', 'rebuild']);
    expect(rebuilt.checkpoints).toBe(generations.length);
    // Node by node, as their agents register.
    await operations.job(job.id, 'is found running', ({ trees }) => trees.length === 2);
    await expectOrder();
    // It waits until every agent has had time to register: what is not known yet would stay out of it.
    await commit();
    await expectOrder();
    job.release();
    const { code, stderr } = await restart(stack, job.id, ['node1', 'node3']);
    expect({ code, stderr }).toMatchObject({ code: 0 });
    expect(jobOutput(job.output)).toBe(job.expected);
    residue.before();
    await residue.none(new Map());
  }));
