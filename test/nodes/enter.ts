/** Starting programs in the namespaces of a simulated node. */
import { type ChildProcess, type StdioOptions, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';

/** What a login sets and a batch system may not: without it Open MPI warns, in the job's output. */
const LOGIN = { SHELL: '/bin/sh' };

/** Programs of a node do not know that npm is above them: what it names would be taken for directories of the job. */
const withoutNpm = (environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv =>
  Object.fromEntries(Object.entries(environment).filter(([name]) => !/^(npm_|INIT_CWD$|PWD$)/.test(name)));

export interface SpawnOptions {
  /** Numeric user and group the program runs as; root when absent. */
  readonly uid?: number;
  readonly gid?: number;
  /** Working directory in the node; '/' when absent. */
  readonly cwd?: string;
  /** Added to this process's environment; undefined removes a variable. */
  readonly env?: NodeJS.ProcessEnv;
  readonly stdio?: StdioOptions;
}

/**
 * What "ignore" opened is the /dev/null of the machine's mount namespace. A program that is to be checkpointed must
 * not hold files of another namespace, so it gets the node's own.
 */
const REOPEN_NULL = `
for fd in 0 1 2; do
  if [ /proc/self/fd/$fd -ef /dev/null ]; then eval "exec $fd<> /dev/null"; fi
done
exec "$@"`;

/**
 * Starts argv in the namespaces of `initPid`, in a session of its own as a login or a batch system would.
 * The returned process is nsenter, which waits in front of the program: exit code and signal are the
 * program's, and kill() signals the program. `pid` is nsenter's; see programPid(). A program that is to be
 * checkpointed needs stdio 'ignore', or to be started by something in the node that opens its files there.
 */
export function spawnInNamespaces(
  initPid: number,
  argv: readonly string[],
  options: SpawnOptions,
): ChildProcess {
  const credentials = [
    ...(options.gid === undefined ? [] : ['--setgid', String(options.gid)]),
    ...(options.uid === undefined ? [] : ['--setuid', String(options.uid)]),
  ];
  const child = spawn(
    'nsenter',
    [
      ...['--target', String(initPid), '--mount', '--uts', '--ipc', '--net', '--pid'],
      ...credentials,
      ...[`--wdns=${options.cwd ?? '/'}`, '--', 'setsid', 'sh', '-c', REOPEN_NULL, 'sh', ...argv],
    ],
    { env: { ...withoutNpm(process.env), ...LOGIN, ...options.env }, stdio: options.stdio ?? 'pipe' },
  );
  child.kill = (signal) => sendSignal(child, signal ?? 'SIGTERM');
  return child;
}

/** Pid of the program behind nsenter, as this process sees it; null before nsenter forked, and after its end. */
export function programPid(child: ChildProcess): number | null {
  if (child.pid === undefined) return null;
  try {
    const children = readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8').trim();
    return children === '' ? null : Number.parseInt(children, 10);
  } catch {
    return null;
  }
}

const hasEnded = (child: ChildProcess): boolean =>
  child.pid === undefined || child.exitCode !== null || child.signalCode !== null;

function sendSignal(child: ChildProcess, signal: NodeJS.Signals | number): boolean {
  if (hasEnded(child)) return false;
  const program = programPid(child);
  const isSent = program !== null && trySignal(program, signal);
  // nsenter stops itself together with the program, and would never notice that the program goes on, or ends.
  if ((signal === 'SIGCONT' || signal === 'SIGKILL') && child.pid !== undefined)
    trySignal(child.pid, 'SIGCONT');
  // nsenter has not forked yet, or the program's end has not reached us: both are over soon.
  if (program === null) setImmediate(sendSignal, child, signal);
  return isSent || program === null;
}

function trySignal(pid: number, signal: NodeJS.Signals | number): boolean {
  try {
    process.kill(pid, signal);
    return true;
  } catch {
    return false;
  }
}
