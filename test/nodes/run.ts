import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { constants } from 'node:os';
import type { Readable } from 'node:stream';
import { HoldfastError } from '../../core/errors';
import type { SpawnOptions } from './enter';

export interface RunOptions extends Omit<SpawnOptions, 'stdio'> {
  /** Written to the program's standard input, which is then closed. */
  readonly input?: string;
  /** After this time the program is killed and the call fails with TIMEOUT; 60 s when absent. */
  readonly timeoutMs?: number;
}

export interface RunResult {
  readonly stdout: string;
  readonly stderr: string;
  /** Exit code; 128 + signal number when a signal ended the program, as a shell has it. */
  readonly code: number;
}

/**
 * Waits until a child with piped stdio, and everything it left behind that writes to these pipes, has ended.
 * `description` names it in errors. */
export async function runToEnd(
  child: ChildProcess,
  description: string,
  { input = '', timeoutMs = 60_000 }: Pick<RunOptions, 'input' | 'timeoutMs'>,
): Promise<RunResult> {
  const output = [collect(child.stdout), collect(child.stderr)] as const;
  const closed = once(child, 'close');
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    child.kill('SIGKILL');
    // A background process may still hold the other ends.
    child.stdout?.destroy();
    child.stderr?.destroy();
  }, timeoutMs);
  child.stdin?.on('error', () => {}); // a program need not read its input
  child.stdin?.end(input);
  const [code, signal] = (await closed.finally(() => clearTimeout(timer))) as [number | null, NodeJS.Signals];
  if (late) throw new HoldfastError('TIMEOUT', `${description} did not end within ${timeoutMs} ms`);
  const [stdout, stderr] = output.map((chunks) => Buffer.concat(chunks).toString('utf8'));
  return { stdout: stdout ?? '', stderr: stderr ?? '', code: code ?? 128 + constants.signals[signal] };
}

function collect(stream: Readable | null): Buffer[] {
  const chunks: Buffer[] = [];
  stream?.on('data', (chunk) => chunks.push(chunk));
  return chunks;
}
