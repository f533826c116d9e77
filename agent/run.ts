/** Runs a system tool to its end. */
import { execFile } from 'node:child_process';
import { HoldfastError } from '../core/errors';

/**
 * What our children find in their environment. Never our own: that holds the store's credentials, and some children run
 * with a user's rights, who could read them there.
 */
export const toolEnvironment = (): NodeJS.ProcessEnv => ({ PATH: process.env.PATH, LC_ALL: 'C' });

export interface ToolResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Never through a shell. A tool that is not installed is an error; its exit code is the caller's business. */
export function runTool(program: string, args: readonly string[], input = ''): Promise<ToolResult> {
  return new Promise((resolve, reject) => {
    const child = execFile(
      program,
      args,
      { maxBuffer: 16 << 20, env: toolEnvironment() },
      (error, stdout, stderr) => {
        const failure = error as (NodeJS.ErrnoException & { code?: string | number }) | null;
        if (failure && typeof failure.code === 'string') {
          reject(
            new HoldfastError(
              'INTERNAL',
              `${program} cannot be run: ${failure.message}`,
              `install ${program}`,
            ),
          );
          return;
        }
        resolve({ code: failure ? Number(failure.code ?? 1) : 0, stdout, stderr });
      },
    );
    child.stdin?.on('error', () => {}); // the tool ended without reading all of it: its exit code tells
    child.stdin?.end(input);
  });
}

/** The tool's output, or an INTERNAL error with its last words. */
export async function mustRun(program: string, args: readonly string[], input = ''): Promise<string> {
  const result = await runTool(program, args, input);
  if (result.code !== 0) {
    const reason = result.stderr.trim().split('\n').slice(-3).join('; ');
    throw new HoldfastError('INTERNAL', `${program} ${args.join(' ')} failed (${result.code}): ${reason}`);
  }
  return result.stdout;
}
