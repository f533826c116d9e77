/** The one promise, as a test helper: a job that is killed and restarted ends with the output of an undisturbed one. */
import { readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Job } from '../../proto/gen/holdfast/v1/coordinator';
import { jobOutput } from '../harness/jobOutput';
import { readText, type Stack, USER } from '../harness/stack';
import type { RunResult } from '../nodes/run';

/**
 * Looks again and again until there is something; an error names what was waited for. It keeps no process alive: a test that was
 * given up may leave it behind.
 */
export async function until<T>(
  what: string,
  look: () => T | null | Promise<T | null>,
  timeoutMs = 60_000,
): Promise<T> {
  for (
    const deadline = Date.now() + timeoutMs;
    Date.now() < deadline;
    await delay(50, undefined, { ref: false })
  ) {
    const found = await look();
    if (found !== null) return found;
  }
  throw new Error(`${what}: not within ${timeoutMs / 1000} s`);
}

export const lines = (path: string): number => {
  try {
    return readText(path).split('\n').length - 1;
  } catch {
    return 0;
  }
};

export const linesAtLeast = (path: string, count: number) =>
  until(`${count} lines in ${path}`, () => (lines(path) >= count ? true : null));

/** It goes on writing: lines that were not there when we asked. */
export const goesOn = (path: string, count = 3) => linesAtLeast(path, lines(path) + count);

/** What restarts cut off the end of an output file, oldest first (invariant L2). */
export const tails = (path: string): string[] =>
  readdirSync(dirname(path))
    .filter((name) => name.startsWith(`${basename(path)}.holdfast-tail-`))
    .map((name) => join(dirname(path), name))
    .sort((a, b) => statSync(a).ctimeMs - statSync(b).ctimeMs);

/** Victims pause between their steps while it is on (test/victims/pace.h), so that none ends before its test has done with it. */
export class Brake {
  private readonly path: string;

  constructor(stack: Stack, name: string) {
    this.path = join(stack.shared, `${name}.brake`);
    writeFileSync(this.path, '');
  }

  get environment(): NodeJS.ProcessEnv {
    return { SLOW_WHILE: this.path };
  }

  release(): void {
    rmSync(this.path, { force: true });
  }
}

/** Of a job that the coordinator restarts by itself, without a long wait when it did so before. */
export const RESTARTED = ['--restart', 'any', '--max-restarts', '100', '--restart-backoff', '1s'];

export interface Submission {
  readonly name: string;
  readonly argv: readonly string[];
  readonly nodes: readonly string[];
  readonly flags?: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
}

export interface Submitted {
  readonly id: string;
  readonly output: string;
}

export const outputPath = (stack: Stack, name: string): string => join(stack.shared, `${name}.out`);

/** The command line for a job whose output goes to a file on shared storage. */
export function runCommand(stack: Stack, { name, argv, nodes, flags = [] }: Submission): string[] {
  const options = ['--name', name, '--nodes', nodes.join(','), '--output', outputPath(stack, name)];
  return ['run', ...options, ...flags, '--', ...argv];
}

/** Starts a job as an ordinary user, detached. */
export async function submit(stack: Stack, submission: Submission): Promise<Submitted> {
  const { name, argv, nodes, flags = [], env } = submission;
  const command = runCommand(stack, { ...submission, flags: ['--json', '--detach', ...flags] });
  const result = await stack.holdfast(nodes[0] ?? '', command, { ...USER, env });
  if (result.code !== 0) throw new Error(`run ${argv.join(' ')}: ${result.stderr}\n${stack.logs()}`);
  const { job } = JSON.parse(result.stdout) as { job: { id: string } };
  return { id: job.id, output: outputPath(stack, name) };
}

/** The job as the coordinator knows it; asked through an agent that is alive. */
export async function jobView(stack: Stack, node: string, id: string): Promise<Job> {
  const { job } = await (await stack.connection(node)).call('getJob', { job: id });
  if (!job) throw new Error(`job ${id} is not known`);
  return job;
}

/** The job that was started under a name, once it runs. */
export const jobNamed = (stack: Stack, node: string, name: string): Promise<Job> =>
  until(`job ${name}`, async () => {
    const { jobs } = await (await stack.connection(node)).call('listJobs', { all: true });
    return jobs.find((job) => job.spec?.name === name) ?? null;
  });

export const jobEnd = (stack: Stack, node: string, id: string, timeoutMs = 120_000): Promise<Job> =>
  until(
    `the end of ${id}`,
    async () => {
      const view = await jobView(stack, node, id);
      return view.endedMs > 0 ? view : null;
    },
    timeoutMs,
  );

/** Takes a checkpoint of a job or a pid and returns its id. */
export async function checkpoint(
  stack: Stack,
  node: string,
  subject: string,
  flags: readonly string[] = [],
): Promise<number> {
  const result = await stack.holdfast(node, ['checkpoint', subject, '--json', ...flags], USER);
  if (result.code !== 0) throw new Error(`checkpoint ${subject}: ${result.stderr}\n${stack.logs()}`);
  return (JSON.parse(result.stdout) as { operation: { ckptId: number } }).operation.ckptId;
}

/** Kills every process of the job, as `kill -9` would, and waits for its end. */
export async function killJob(stack: Stack, node: string, id: string): Promise<Job> {
  const result = await stack.holdfast(node, ['kill', id, '--signal', 'KILL'], USER);
  if (result.code !== 0) throw new Error(`kill ${id}: ${result.stderr}\n${stack.logs()}`);
  return jobEnd(stack, node, id);
}

/** Restarts and stays with the job until its end: the result is the job's own exit code and its output. */
export const restart = (
  stack: Stack,
  subject: string | number,
  nodes: readonly string[],
  flags: readonly string[] = [],
): Promise<RunResult> =>
  stack.holdfast(nodes[0] ?? '', ['restart', String(subject), '--nodes', nodes.join(','), ...flags], USER);

/** What the program prints, and how it ends, when nobody disturbs it. */
export function undisturbed(stack: Stack, node: string, argv: readonly string[]): Promise<RunResult> {
  const env = { SLOW_WHILE: join(stack.shared, 'never') };
  return stack.node(node).run(argv, { ...USER, cwd: stack.shared, timeoutMs: 120_000, env });
}

/** The promise kept: the same output and the same exit code. An error says where they part, and why. */
export function expectSurvival(stack: Stack, ended: RunResult, output: string, expected: RunResult): void {
  const actual = jobOutput(output);
  if (ended.code === expected.code && actual === expected.stdout) return;
  const wanted = expected.stdout.split('\n');
  const line = actual.split('\n').findIndex((text, i) => text !== wanted[i]);
  const parting =
    line < 0 ? `${lines(output)} of ${wanted.length - 1} lines` : `line ${line}: ${actual.split('\n')[line]}`;
  throw new Error(
    `exit code ${ended.code}, not ${expected.code}; ${parting}\n${ended.stderr}\n${stack.logs()}`,
  );
}
