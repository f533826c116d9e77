/** Runs a system program to its end. */
import { execFile } from 'node:child_process';
import { HoldfastError } from './errors';

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

/**
 * Never through a shell. The program's exit code is the caller's business.
 * @param timeoutMs 0: as long as it takes
 * @throws HoldfastError INTERNAL when it is not installed, TIMEOUT
 */
export function runTool(
  program: string,
  args: readonly string[],
  input = '',
  timeoutMs = 0,
): Promise<ToolResult> {
  return new Promise((resolve, reject) => {
    const options = {
      maxBuffer: 16 << 20,
      env: toolEnvironment(),
      timeout: timeoutMs,
      killSignal: 'SIGKILL',
    } as const;
    const child = execFile(program, args, options, (error, stdout, stderr) => {
      const failure = error as (NodeJS.ErrnoException & { code?: string | number; killed?: boolean }) | null;
      if (failure && typeof failure.code === 'string') {
        const message = `${program} cannot be run: ${failure.message}`;
        reject(new HoldfastError('INTERNAL', message, `install ${program}`));
      } else if (timeoutMs > 0 && failure?.killed) {
        reject(new HoldfastError('TIMEOUT', `${program} did not end within ${timeoutMs / 1000} s`));
      } else resolve({ code: failure ? Number(failure.code ?? 1) : 0, stdout, stderr });
    });
    child.stdin?.on('error', () => {}); // the tool ended without reading all of it: its exit code tells
    child.stdin?.end(input);
  });
}
