/** MPI jobs, their checkpoints in an S3 store: over shared memory on one node, over TCP on two, with ranks moved to other nodes. */
import { Stack } from '../harness/stack';
import { type Compiler, compileVictim } from '../harness/victims';
import { Leftovers } from './leftovers';
import { SecretWatch } from './secrets';
import {
  Brake,
  checkpoint,
  expectSurvival,
  goesOn,
  jobView,
  killJob,
  linesAtLeast,
  restart,
  submit,
  undisturbed,
} from './survival';

const NODES = ['node1', 'node2', 'node3'];
let stack: Stack;
let leftovers: Leftovers;

beforeAll(async () => {
  stack = await Stack.start({ nodes: NODES, store: 'rgw' });
  leftovers = new Leftovers(stack, NODES);
});
afterEach(() => leftovers.none());
afterAll(() => stack?.stop());

/** Iterations of the first phase of mpi_late: none but neighbours talk. */
const NEAR = 100;

const compiled = (name: string, compiler: Compiler): string => compileVictim(name, stack.shared, compiler);

const OPEN_MPI = [
  'mpirun.openmpi',
  '--oversubscribe',
  '--mca',
  'mpi_yield_when_idle',
  '1',
  '-x',
  'SLOW_WHILE',
];
const MPICH = ['mpirun.mpich'];

/** An MPI job on its way, and what it has to end like. */
async function started(
  name: string,
  launcher: readonly string[],
  alone: readonly string[],
  program: readonly string[],
  nodes: readonly string[],
) {
  const brake = new Brake(stack, name);
  const expected = await undisturbed(stack, 'node1', [...alone, ...program]);
  expect(expected.code).toBe(0);
  const job = await submit(stack, { name, argv: [...launcher, ...program], nodes, env: brake.environment });
  await linesAtLeast(job.output, 10);
  return { ...job, brake, expected };
}

const nodesOf = async (id: string): Promise<string[]> => {
  const { trees } = await jobView(stack, 'node1', id);
  return [...new Set(trees.map((tree) => tree.node))].sort();
};

describe('Open MPI', () => {
  const series = () => [compiled('mpi_series', 'mpicc.openmpi'), '16', '400', '50'];

  test('over shared memory on one node, restarted on another', async () => {
    const launcher = [...OPEN_MPI, '-n', '2'];
    const job = await started('vader', launcher, launcher, series(), ['node1']);
    const watch = new SecretWatch(stack, Object.values(stack.storeAccess.environment).map(String));
    await checkpoint(stack, 'node1', job.id);
    // The store's keys: not in arguments, children, logs or Redis, and not in what is stored.
    expect(watch.end()).toEqual([]);
    await goesOn(job.output);
    await killJob(stack, 'node1', job.id);
    job.brake.release();
    expectSurvival(stack, await restart(stack, job.id, ['node2']), job.output, job.expected);
  });

  test('over TCP on two nodes, one part moved, and moved again', async () => {
    const local = [...OPEN_MPI, '-n', '2'];
    const launcher = [...local, '--host', 'node1,node2', '--mca', 'btl', 'tcp,self'];
    const job = await started('tcp', launcher, local, series(), ['node1', 'node2']);
    expect(await nodesOf(job.id)).toEqual(['node1', 'node2']);
    await checkpoint(stack, 'node1', job.id);
    await goesOn(job.output);
    await killJob(stack, 'node1', job.id);

    const moved = await restart(stack, job.id, ['node1', 'node3'], ['--detach']);
    expect({ code: moved.code, stderr: moved.stderr }).toMatchObject({ code: 0 });
    expect(await nodesOf(job.id)).toEqual(['node1', 'node3']);
    await goesOn(job.output);
    await checkpoint(stack, 'node1', job.id);
    await goesOn(job.output);
    await killJob(stack, 'node1', job.id);

    job.brake.release();
    expectSurvival(stack, await restart(stack, job.id, ['node2', 'node3']), job.output, job.expected);
  });

  test('partners that talk for the first time after the restart find each other, wherever they move', async () => {
    const program = [compiled('mpi_late', 'mpicc.openmpi'), String(NEAR), '50'];
    const local = [...OPEN_MPI, '-n', '4'];
    const launcher = [...local, '--host', 'node1:2,node2:2', '--mca', 'btl', 'tcp,self'];
    const job = await started('late', launcher, local, program, ['node1', 'node2']);
    await checkpoint(stack, 'node1', job.id);
    await killJob(stack, 'node1', job.id);

    const moved = await restart(stack, job.id, ['node1', 'node3'], ['--detach']);
    expect({ code: moved.code, stderr: moved.stderr }).toMatchObject({ code: 0 });
    await linesAtLeast(job.output, NEAR + 10);
    await checkpoint(stack, 'node1', job.id);
    await killJob(stack, 'node1', job.id);
    job.brake.release();
    // The first part now has the address under which the ranks know the second one.
    expectSurvival(stack, await restart(stack, job.id, ['node2', 'node3']), job.output, job.expected);
  });
});

describe('MPICH', () => {
  const series = () => [compiled('mpi_series', 'mpicc.mpich'), '16', '400', '50'];

  test('over shared memory on one node, restarted on another', async () => {
    const launcher = [...MPICH, '-n', '2'];
    const job = await started('mpich', launcher, launcher, series(), ['node1']);
    await checkpoint(stack, 'node1', job.id);
    await goesOn(job.output);
    await killJob(stack, 'node1', job.id);
    job.brake.release();
    expectSurvival(stack, await restart(stack, job.id, ['node2']), job.output, job.expected);
  });

  test('over TCP on two nodes, one part moved', async () => {
    const local = [...MPICH, '-n', '2'];
    const job = await started('hydra', [...local, '-hosts', 'node1,node2'], local, series(), [
      'node1',
      'node2',
    ]);
    expect(await nodesOf(job.id)).toEqual(['node1', 'node2']);
    await checkpoint(stack, 'node1', job.id);
    await goesOn(job.output);
    await killJob(stack, 'node1', job.id);
    job.brake.release();
    expectSurvival(stack, await restart(stack, job.id, ['node1', 'node3']), job.output, job.expected);
  });
});
