/** What a process has taken, as the kernel counts (proc_pid_status(5), proc_pid_stat(5), schedstat). */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';

/** USER_HZ, on every architecture that Linux has today. */
const TICKS_PER_S = 100;

export class ProcessFigures {
  /** @param directory of the process below a /proc */
  constructor(private readonly directory: string) {}

  static of(pid: number): ProcessFigures {
    return new ProcessFigures(`/proc/${pid}`);
  }

  /** The peak is from now on (proc_pid_clear_refs(5)). */
  resetPeak(): void {
    writeFileSync(`${this.directory}/clear_refs`, '5');
  }

  peakMib(): number {
    const kib = /^VmHWM:\s+(\d+) kB$/m.exec(this.#read('status'))?.[1];
    return Number(kib) / 1024;
  }

  /** Of processor time, since its start. */
  cpuMs(): number {
    const stat = this.#read('stat');
    // The name is in parentheses and may hold any character, also ')'.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return ((Number(fields[11]) + Number(fields[12])) * 1000) / TICKS_PER_S;
  }

  /** In which its main thread could have run, but others had the processors; since its start. */
  waitedMs(): number {
    return Number(this.#read('schedstat').split(' ')[1]) / 1e6;
  }

  /** Processes that it started and that are there still. */
  children(): ProcessFigures[] {
    const threads = readdirSync(`${this.directory}/task`);
    const pids = threads.flatMap((thread) => this.#read(`task/${thread}/children`).split(' '));
    return pids.filter((pid) => pid !== '').map((pid) => ProcessFigures.of(Number(pid)));
  }

  #read(name: string): string {
    return readFileSync(`${this.directory}/${name}`, 'utf8');
  }
}
