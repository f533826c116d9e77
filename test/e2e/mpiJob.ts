/** The job of the failure tests: Open MPI over TCP, rank 0 on node1 and rank 1 on node2, started by an ordinary user. */
import { jobOutput } from '../harness/jobOutput';
import type { Stack } from '../harness/stack';
import { compileVictim } from '../harness/victims';
import { Brake, linesAtLeast, submit, undisturbed } from './survival';

export interface MpiJob {
  readonly id: string;
  readonly output: string;
  /** What it prints when nothing happens to it. */
  readonly expected: string;
  /** Lets it run to its end. */
  release(): void;
}

/** Enough for seven minutes under the brake; without it they take seconds, but twice in each test file. */
const ITERATIONS = '5000';
const PAUSE_MS = '80';
/** Ranks that wait leave the processor to those that do not. */
const QUIET = ['--mca', 'mpi_yield_when_idle', '1'];

export async function startMpiJob(
  stack: Stack,
  options: { memoryMib: number; flags?: readonly string[] },
): Promise<MpiJob> {
  const brake = new Brake(stack, 'mpi');
  const series = compileVictim('mpi_series', stack.shared, 'mpicc.openmpi');
  const program = [series, String(options.memoryMib), ITERATIONS, PAUSE_MS];
  const mpirun = ['mpirun.openmpi', '-n', '2', '--oversubscribe', ...QUIET, '--mca', 'btl', 'tcp,self'];
  const expected = (await undisturbed(stack, 'node1', [...mpirun, ...program])).stdout;
  const argv = [...mpirun, '--host', 'node1,node2', '-x', 'SLOW_WHILE', ...program];
  const submission = { name: 'mpi', argv, nodes: ['node1', 'node2'], env: brake.environment };
  const job = await submit(stack, { ...submission, flags: options.flags });
  await linesAtLeast(job.output, 5);
  return { ...job, expected, release: () => brake.release() };
}

/** What the job has printed so far is what it prints undisturbed. */
export function expectUndisturbed({ output, expected }: MpiJob): void {
  const printed = jobOutput(output);
  expect(expected.slice(0, printed.length)).toBe(printed);
}
