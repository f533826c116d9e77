/**
 * Two coordinators and an MPI job of two nodes: the one that leads is killed at each named point of a checkpoint, a restart and of
 * retention, and the other one takes over. A rank that ran ahead of the other's (B1) would be seen in the job's output.
 */
import { join } from 'node:path';
import type { FaultPoint } from '../../core/faults';
import { KEEP_ALL } from '../../core/retention';
import { JobState, type Operation } from '../../proto/gen/holdfast/v1/coordinator';
import { openStore } from '../../store/open';
import { coordinatorPoints } from '../harness/faultPoints';
import { jobOutput } from '../harness/jobOutput';
import { HEADS, type Head, Stack } from '../harness/stack';
import { intactGenerations } from './generations';
import { expectUndisturbed, type MpiJob, startMpiJob } from './mpiJob';
import { Operations } from './operations';
import { Residue } from './residue';
import { goesOn, jobEnd, until } from './survival';
import { told } from './told';

const NODES = ['node1', 'node2'];
const LEASE_MS = 6_000;
/** A machine that is busy with other things. */
const SLACK_MS = 15_000;
/** Past these the next leader brings the operation to its end. */
const SUCCEEDS: readonly FaultPoint[] = [
  'coordinator.checkpoint.before-commit',
  'coordinator.checkpoint.after-commit',
  'coordinator.restart.plan',
];

let stack: Stack;
let operations: Operations;
let residue: Residue;
let job: MpiJob;
let firstCheckpoint: number;
/** Who leads. */
let leader: Head = 'head';

const store = () => openStore(`file://${join(stack.directory, 'store')}`);
const other = (): Head => HEADS.find((head) => head !== leader) ?? 'head';

/** The one that stands by is replaced by one that will meet the fault, and then it leads. */
async function arm(point: FaultPoint): Promise<void> {
  const [old, armed] = [leader, other()];
  await stack.coordinators.get(armed)?.stop('SIGKILL');
  await stack.startCoordinator({ HOLDFAST_FAULT: point }, armed);
  // It gives its lease back.
  await stack.coordinators.get(old)?.stop('SIGTERM');
  leader = armed;
  const known = operations.job(job.id, 'is known to the next leader', () => true);
  await Promise.all([stack.startCoordinator({}, old), known]);
}

/** It ends by itself, at the armed point. */
async function struck(): Promise<void> {
  const daemon = stack.coordinators.get(leader);
  await until('the fault', async () => (daemon?.running ? null : true));
  leader = other();
}

function expectOutcome(point: FaultPoint, { phase, error }: Operation): void {
  const isGood = SUCCEEDS.includes(point);
  const good = point.startsWith('coordinator.restart') ? 'RUNNING' : 'DONE';
  expect({ phase, message: error?.message }).toEqual({
    phase: isGood ? good : 'ABORTED',
    message: isGood ? undefined : expect.stringMatching(/the coordinator was restarted/),
  });
}

async function expectWhole(): Promise<number[]> {
  const generations = await intactGenerations(store(), job.id);
  expect(await operations.generations(job.id)).toEqual(generations);
  const { id, trees, incarnation, state } = await operations.job(job.id, 'is known', () => true);
  // Parts that were ended one after the other may have told so; a restart takes that away (L2).
  if (state === JobState.RUNNING) expectUndisturbed(job);
  const on = (name: string) => trees.filter(({ node }) => node === name);
  await residue.none(
    new Map(NODES.map((name) => [name, on(name).map(({ treeId }) => `${id}.${treeId}.${incarnation}`)])),
  );
  return generations;
}

async function checkpointed(): Promise<Operation> {
  const ended = await operations.ended(await operations.checkpoint(job.id));
  expect({ phase: ended.phase, error: ended.error }).toEqual({ phase: 'DONE', error: undefined });
  return ended;
}

async function restarted(): Promise<void> {
  const ended = await operations.ended(await operations.restart(firstCheckpoint, NODES));
  expect({ phase: ended.phase, error: ended.error }).toEqual({ phase: 'RUNNING', error: undefined });
  await goesOn(job.output);
  residue.before();
}

beforeAll(async () => {
  const standby = { leaderLeaseMs: 2_000, flags: ['--gc-grace', '0s'] };
  stack = await Stack.start({ nodes: NODES, store: 'directory', leaseMs: LEASE_MS, standby });
  operations = new Operations(stack, 'node1');
  residue = new Residue(stack, NODES);
  job = await startMpiJob(stack, { memoryMib: 1 });
  firstCheckpoint = (await checkpointed()).ckptId;
});
afterAll(() => stack?.stop());

test.each(coordinatorPoints('checkpoint'))('%s', (point) =>
  told(stack, async () => {
    await arm(point);
    residue.before();
    const id = await operations.checkpoint(job.id);
    await struck();
    const struckMs = Date.now();
    await goesOn(job.output);
    // Whatever was frozen is thawed by its lease, whoever leads (F1).
    expect(Date.now() - struckMs).toBeLessThan(LEASE_MS + SLACK_MS);
    expectOutcome(point, await operations.ended(id));
    expect(await operations.job(job.id, 'is known', () => true)).toMatchObject({ state: JobState.RUNNING });
    await goesOn(job.output);
    await expectWhole();
  }),
);

test.each(coordinatorPoints('restart'))('%s', (point) =>
  told(stack, async () => {
    const before = await intactGenerations(store(), job.id);
    await arm(point);
    const id = await operations.restart(firstCheckpoint, NODES);
    await struck();
    const ended = await operations.ended(id);
    expectOutcome(point, ended);
    const { state } = await operations.job(job.id, 'is known', () => true);
    expect(state).toBe(ended.phase === 'RUNNING' ? JobState.RUNNING : JobState.STOPPED);
    residue.before();
    expect(await expectWhole()).toEqual(before);
  }),
);

test.each(coordinatorPoints('gc'))('%s', (point) =>
  told(stack, async () => {
    const connection = await stack.connection('node1');
    if ((await operations.job(job.id, 'is known', () => true)).state !== JobState.RUNNING) await restarted();
    await checkpointed();
    await arm(point);
    await connection.call('setRetention', { job: job.id, policy: { ...KEEP_ALL, keepLast: 1 } });
    const collected = () =>
      connection.call('collectGarbage', { dryRun: false, job: job.id }).catch(() => null);
    const daemon = stack.coordinators.get(leader);
    await until('the fault', async () => {
      await collected();
      return daemon?.running ? null : true;
    });
    await struck();
    await connectionAnswers();
    await goesOn(job.output);
    await until('no garbage', async () => {
      const answer = await collected();
      const collection = answer?.jobs[0];
      return collection !== undefined && collection.skipped === '' && collection.garbage.length === 0
        ? true
        : null;
    });
    expect(await expectWhole()).toHaveLength(1);
    // For the next one there must be something to remove.
    await connection.call('setRetention', { job: job.id, policy: KEEP_ALL });
  }),
);

const connectionAnswers = () => operations.job(job.id, 'is known', () => true);

test('the job ends as if nothing had been', () =>
  told(stack, async () => {
    const [newest] = (await intactGenerations(store(), job.id)).slice(-1);
    expect(newest).toBeGreaterThan(1);
    const { ckptId } = await checkpointed();
    firstCheckpoint = ckptId;
    await restarted();
    job.release();
    expect(await jobEnd(stack, 'node1', job.id)).toMatchObject({ state: JobState.COMPLETED, exitCode: 0 });
    expect(jobOutput(job.output)).toBe(job.expected);
  }));
