import { readdirSync, readFileSync } from 'node:fs';

export interface NodeProcess {
  /** Pids as the node sees them. */
  readonly pid: number;
  readonly parentPid: number;
  /** One letter, see proc(5): R, S, D, T (stopped), t (traced), Z … */
  readonly state: string;
  readonly uid: number;
  /** Empty for a zombie. */
  readonly argv: readonly string[];
}

/** All processes of a mounted /proc. One that ends meanwhile is left out. */
export function readProcesses(procDirectory: string): NodeProcess[] {
  return readdirSync(procDirectory)
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => readProcess(`${procDirectory}/${name}`, Number(name)) ?? [])
    .sort((a, b) => a.pid - b.pid);
}

function readProcess(directory: string, pid: number): NodeProcess | null {
  try {
    const status = readFileSync(`${directory}/status`, 'utf8');
    const field = (name: string): string => new RegExp(`^${name}:\\s+(\\S+)`, 'm').exec(status)?.[1] ?? '';
    const argv = readFileSync(`${directory}/cmdline`, 'utf8').split('\0').slice(0, -1);
    return { pid, parentPid: Number(field('PPid')), state: field('State'), uid: Number(field('Uid')), argv };
  } catch {
    return null;
  }
}
