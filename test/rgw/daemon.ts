/** Child processes that end with their parent, however it ends. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';

/** `setpriv` sets the parent death signal and becomes the command: the pid is the daemon's own. */
const PARENT_DEATH = ['--pdeathsig', 'KILL', '--'];

const ENVIRONMENT = { PATH: process.env.PATH, LANG: 'C' };

export interface Daemon {
  readonly name: string;
  readonly pid: number;
  /** Resolves when the process has ended, for whatever reason, with how it did. */
  readonly ended: Promise<string>;
  /** Sends the signal, then SIGKILL after `graceMs`; resolves when the process is gone. */
  stop(signal: 'SIGTERM' | 'SIGKILL', graceMs: number): Promise<void>;
}

/** Starts a daemon in the foreground mode of its program; its output is appended to `logFile`. */
export async function startDaemon(name: string, argv: readonly string[], logFile: string): Promise<Daemon> {
  const log = openSync(logFile, 'a', 0o600);
  const child = spawn('setpriv', [...PARENT_DEATH, ...argv], {
    stdio: ['ignore', log, log],
    env: ENVIRONMENT,
  });
  closeSync(log);
  await once(child, 'spawn');
  const { pid } = child;
  if (pid === undefined) throw new Error(`${name} did not start`);
  const ended = endOf(child);
  return { name, pid, ended, stop: (signal, graceMs) => stopChild(child, ended, signal, graceMs) };
}

function endOf(child: ChildProcess): Promise<string> {
  return new Promise((resolve) => {
    child.once('exit', (code, signal) => resolve(signal ?? `exit status ${code}`));
  });
}

async function stopChild(
  child: ChildProcess,
  ended: Promise<string>,
  signal: 'SIGTERM' | 'SIGKILL',
  graceMs: number,
): Promise<void> {
  child.kill(signal);
  const timer = setTimeout(() => child.kill('SIGKILL'), graceMs);
  await ended;
  clearTimeout(timer);
}

/** Runs a command to its end; rejects with its output when it fails or takes longer than `timeoutMs`. */
export function run(argv: readonly string[], timeoutMs: number): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile(
      'setpriv',
      [...PARENT_DEATH, ...argv],
      { env: ENVIRONMENT, timeout: timeoutMs, killSignal: 'SIGKILL' },
      (error, stdout, stderr) => {
        if (error === null) resolve(stdout);
        else reject(new Error(`${argv.join(' ')} failed: ${error.message} ${stderr.slice(-2000)}`));
      },
    );
  });
}
