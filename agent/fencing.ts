/** Epoch fencing (invariant E1): a command older than the newest operation seen for its job has no effect. */
import { existsSync, readFileSync } from 'node:fs';
import { HoldfastError } from '../core/errors';
import { type RunDirectory, writeJson } from './runDirectory';

export class Fencing {
  private readonly highest = new Map<string, number>();

  constructor(private readonly directory: RunDirectory) {}

  /** Accepts the epoch, durably, or throws STALE_EPOCH. */
  admit(job: string, epoch: number): void {
    const known = this.known(job);
    if (epoch < known) {
      throw new HoldfastError(
        'STALE_EPOCH',
        `epoch ${epoch} of job ${job} is over: ${known} was seen`,
        'nothing to do: a newer operation has taken over',
      );
    }
    if (epoch === known) return;
    writeJson(this.directory.epochFile(job), epoch);
    this.highest.set(job, epoch);
  }

  private known(job: string): number {
    const cached = this.highest.get(job);
    if (cached !== undefined) return cached;
    const path = this.directory.epochFile(job);
    return existsSync(path) ? Number(readFileSync(path, 'utf8')) : 0;
  }
}
