/**
 * Every fault point, end to end, on an MPI job of two nodes: whatever dies or fails wherever, the operation ends
 * cleanly, the job goes on or can be restarted, and the generations that were committed are as they were.
 */
import { join } from 'node:path';
import { FAULT_POINTS, type FaultPoint } from '../../core/faults';
import { type Job, JobState, type Operation } from '../../proto/gen/holdfast/v1/coordinator';
import { openStore } from '../../store/open';
import { jobOutput } from '../harness/jobOutput';
import { Stack } from '../harness/stack';
import { intactGenerations, orphans } from './generations';
import { expectUndisturbed, type MpiJob, startMpiJob } from './mpiJob';
import { Operations } from './operations';
import { Residue } from './residue';
import { goesOn, jobEnd, tails } from './survival';
import { told } from './told';

type Mode = 'error' | 'kill';
type Scenario = readonly [FaultPoint, Mode];

const NODES = ['node1', 'node2', 'node3'];
/** The agent that meets the faults: of a member of the job, and of the node that takes its place. */
const VICTIM = { checkpoint: 'node2', restart: 'node3' } as const;
/** Past these the operation is carried to its end. */
const SUCCEEDS: readonly string[] = ['coordinator.checkpoint.after-commit error'];

let stack: Stack;
let operations: Operations;
let residue: Residue;
let job: MpiJob;
let firstCheckpoint: number;

const storeUrl = () => `file://${join(stack.directory, 'store')}`;

const isAgentPoint = (point: FaultPoint): boolean => !point.startsWith('coordinator.');
const isRestartPoint = (point: FaultPoint): boolean =>
  /^(agent\.(stage|restore|resume)|coordinator\.restart)\./.test(point);

/** Those of a job that runs are in test/e2e/lazy-faults.test.ts, that of a Slurm script in test/unit/coordinator/slurm.test.ts. */
const isElsewhere = (point: FaultPoint): boolean => /^(agent\.lazy|coordinator\.slurm)\./.test(point);

const scenarios = (isWanted: (point: FaultPoint) => boolean): Scenario[] =>
  FAULT_POINTS.filter((point) => !isElsewhere(point) && isWanted(point)).flatMap((point): Scenario[] => {
    // The death of a coordinator is in leadership.test.ts.
    return isAgentPoint(point)
      ? [[point, 'error'] as const, [point, 'kill'] as const]
      : [[point, 'error'] as const];
  });

const mayHaveRun = (point: FaultPoint): boolean => /resume/.test(point);

const daemonFor = (point: FaultPoint): string =>
  isAgentPoint(point) ? VICTIM[isRestartPoint(point) ? 'restart' : 'checkpoint'] : 'coordinator';

const daemon = (name: string) => (name === 'coordinator' ? stack.coordinator : stack.agents.get(name));

/** A daemon without warning replaced by one that meets the fault; '' for none. */
async function replace(name: string, fault: string): Promise<void> {
  await daemon(name)?.stop('SIGKILL');
  const environment = { HOLDFAST_FAULT: fault };
  if (name === 'coordinator') await stack.startCoordinator(environment);
  else await stack.startAgent(name, environment);
}

/** The daemon ends by itself, at the armed point, before the operation does. */
async function struck(name: string, id: string): Promise<void> {
  const ending = daemon(name)
    ?.ended()
    .then(() => 'struck');
  const over = operations.ended(id).then(
    ({ phase }) => phase,
    (error: Error) => error.message,
  );
  expect(await Promise.race([ending, over])).toBe('struck');
}

const currentJob = (): Promise<Job> => operations.job(job.id, 'is known', () => true);

async function expectedCells(): Promise<Map<string, string[]>> {
  const { id, trees, incarnation } = await currentJob();
  const on = (name: string) => trees.filter(({ node }) => node === name);
  return new Map(NODES.map((name) => [name, on(name).map(({ treeId }) => `${id}.${treeId}.${incarnation}`)]));
}

function expectOutcome([point, mode]: Scenario, { phase, error }: Operation): void {
  if (SUCCEEDS.includes(`${point} ${mode}`)) {
    expect({ phase, error }).toEqual({ phase: isRestartPoint(point) ? 'RUNNING' : 'DONE', error: undefined });
    return;
  }
  const failing = isAgentPoint(point) ? `node ${daemonFor(point)}.*` : '';
  const reason = mode === 'error' ? `${failing}fault injected at ${point}` : `${failing}restarted`;
  expect({ phase, message: error?.message }).toEqual({
    phase: 'ABORTED',
    message: expect.stringMatching(new RegExp(reason)),
  });
}

/** What holds after every operation, failed or not. */
async function expectOrder(generations: readonly number[]): Promise<void> {
  const store = openStore(storeUrl());
  expect(await intactGenerations(store, job.id)).toEqual(generations);
  expect(await operations.generations(job.id)).toEqual(generations);
  expect(await orphans(store, job.id)).toEqual([]);
  await residue.none(await expectedCells());
}

/** @param request asks for the operation that meets the fault */
async function meet(scenario: Scenario, request: () => Promise<string>): Promise<Operation> {
  const [point, mode] = scenario;
  const name = daemonFor(point);
  await replace(name, mode === 'error' ? `${point}:error` : point);
  residue.before();
  const id = await request();
  if (mode === 'kill') {
    await struck(name, id);
    // It comes back before its node counts as lost.
    await replace(name, '');
  }
  const ended = await operations.ended(id);
  expectOutcome(scenario, ended);
  // An operation that succeeds all the same tells nothing of the fault, but the daemon does.
  if (mode === 'error') expect(stack.logs(100)).toContain(`fault injected at ${point}`);
  return ended;
}

async function restartFromFirst(nodes: readonly string[]): Promise<void> {
  const { phase, error } = await operations.ended(await operations.restart(firstCheckpoint, nodes));
  expect({ phase, error }).toEqual({ phase: 'RUNNING', error: undefined });
  await goesOn(job.output);
  expectUndisturbed(job);
}

beforeAll(async () => {
  stack = await Stack.start({ nodes: NODES, store: 'directory', leaseMs: 6000 });
  operations = new Operations(stack, 'node1');
  residue = new Residue(stack, NODES);
  job = await startMpiJob(stack, { memoryMib: 1 });
  const { phase, ckptId } = await operations.ended(await operations.checkpoint(job.id));
  expect(phase).toBe('DONE');
  firstCheckpoint = ckptId;
});
afterAll(() => stack?.stop());

describe('a checkpoint', () => {
  const generations = [1];
  // Imports and removals need no nodes: see import.test.ts and retention/crash.test.ts in test/unit/coordinator.
  const needsNone = (point: FaultPoint) => /^coordinator\.(import|gc)\./.test(point);
  const wanted = scenarios((point) => !isRestartPoint(point) && !needsNone(point));

  test.each(wanted)('meets %s: %s', (...scenario) =>
    told(stack, async () => {
      const { incarnation } = await currentJob();
      const operation = await meet(scenario, () => operations.checkpoint(job.id));
      if (operation.phase === 'DONE') generations.push(operation.generation);
      await goesOn(job.output);
      expect(await currentJob()).toMatchObject({ state: JobState.RUNNING, incarnation });
      await expectOrder(generations);
    }),
  );

  test('the older generation can be restarted', () =>
    told(stack, () => {
      expectUndisturbed(job);
      return restartFromFirst(['node1', 'node2']);
    }));
});

describe('a restart', () => {
  const wanted = scenarios(isRestartPoint);

  test.each(wanted)('meets %s: %s', (...scenario) =>
    told(stack, async () => {
      const before = await intactGenerations(openStore(storeUrl()), job.id);
      const { state } = await currentJob();
      const printed = jobOutput(job.output);
      const kept = tails(job.output);
      const operation = await meet(scenario, () => operations.restart(firstCheckpoint, ['node1', 'node3']));
      const wasTouched = operation.epoch > 0 && operation.phase === 'ABORTED';
      const isRunning = operation.phase === 'RUNNING';
      const after = isRunning ? JobState.RUNNING : wasTouched ? JobState.STOPPED : state;
      expect(await currentJob()).toMatchObject({ state: after });
      // What a restart put back is the job's once the job has run, and it may have made more files of its own. A restart that
      // failed before took all away, and cut nothing off the job's output.
      if (isRunning || mayHaveRun(scenario[0])) residue.before();
      else {
        expect(jobOutput(job.output).startsWith(printed)).toBe(true);
        expect(tails(job.output)).toEqual(kept);
      }
      await expectOrder(before);
    }),
  );

  test('the older generation can be restarted, and ends as if nothing had been', () =>
    told(stack, async () => {
      await replace('coordinator', '');
      // Its ranks may have told of each other's end when a restart was undone; that is cut off again.
      await restartFromFirst(['node1', 'node3']);
      job.release();
      expect(await jobEnd(stack, 'node1', job.id)).toMatchObject({ state: JobState.COMPLETED, exitCode: 0 });
      expect(jobOutput(job.output)).toBe(job.expected);
      await residue.none(new Map());
    }));
});
