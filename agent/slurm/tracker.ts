/** Has processes of Slurm's tasks tracked, each once: the TaskProlog and discovery may both come upon one. */
import type { Logger } from 'pino';
import { KEEP_ALL } from '../../core/retention';
import { taskName } from '../../core/slurm/names';
import type { SlurmOptions } from '../../core/slurm/options';
import type { TrackProcessRequest } from '../../proto/gen/holdfast/v1/coordinator';

export interface TaskProcess {
  readonly jobId: number;
  readonly step: string;
  readonly task: number;
  readonly pid: number;
  readonly startTicks: number;
  readonly uid: number;
  readonly gid: number;
}

export interface TrackerParts {
  readonly node: string;
  readonly log: Logger;
  /** Calls the coordinator as that user; resolves with the job. */
  readonly track: (request: TrackProcessRequest, uid: number, gid: number) => Promise<string>;
}

/** Of processes: older ones are gone. */
const MAX_REMEMBERED = 100_000;

export class Tracker {
  readonly #tried = new Set<string>();

  constructor(private readonly parts: TrackerParts) {}

  /**
   * Resolves when it is tracked, or not; what fails is logged, and not tried again.
   * @param isReady may wait until the process is what it is to be; false: it is none to track
   */
  async track(
    process: TaskProcess,
    options: SlurmOptions,
    isReady: () => Promise<boolean> = async () => true,
  ): Promise<void> {
    const { jobId: slurmJob, pid, startTicks } = process;
    const key = `${pid}/${startTicks}`;
    if (this.#tried.has(key)) return;
    if (this.#tried.size >= MAX_REMEMBERED) this.#tried.clear();
    this.#tried.add(key);
    const { log, node, track } = this.parts;
    try {
      if (!(await isReady())) return;
      const job = await track(trackRequest(node, process, options), process.uid, process.gid);
      log.info({ slurmJob, pid, job }, 'task of a plain step is tracked');
    } catch (err) {
      log.warn({ err, slurmJob, pid }, 'a task is not tracked');
    }
  }
}

/** Pure. */
export function trackRequest(
  node: string,
  { jobId, pid, startTicks, step, task }: TaskProcess,
  { every, keep }: SlurmOptions,
): TrackProcessRequest {
  return {
    ...{ node, pid, startTicks, name: taskName({ jobId, step, task }) },
    ...{ intervalMs: typeof every === 'number' ? every : 0, adaptive: every === 'auto' },
    retention: keep === undefined ? undefined : { ...KEEP_ALL, keepLast: keep },
  };
}
