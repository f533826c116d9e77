/** Processes that run on a node without Holdfast having started them. */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { type Stack, USER } from '../harness/stack';
import { linesAtLeast, outputPath } from './survival';

export interface Unprepared {
  readonly output: string;
  /** As the node sees it. */
  readonly pid: number;
  kill(): Promise<void>;
}

export interface Start {
  readonly name: string;
  readonly argv: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
  readonly user?: { readonly uid: number; readonly gid: number };
  /** Lines of output to wait for. */
  readonly lines?: number;
}

/** Starts a program as a batch system might, with its output in a file that all nodes share. */
export async function startUnprepared(stack: Stack, node: string, start: Start): Promise<Unprepared> {
  const { name, argv, env, user = USER, lines = 10 } = start;
  const output = outputPath(stack, name);
  const redirected = ['sh', '-c', 'file=$1; shift; exec "$@" > "$file" 2>&1', 'sh', output, ...argv];
  const child = stack.node(node).spawn(redirected, { ...user, cwd: stack.shared, env, stdio: 'ignore' });
  await linesAtLeast(output, lines);
  return { output, pid: await stack.node(node).pidOf(child), kill: () => killed(child) };
}

async function killed(child: ChildProcess): Promise<void> {
  const closed = once(child, 'close');
  child.kill('SIGKILL');
  await closed;
}
