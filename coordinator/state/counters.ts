/** Numbers that are never given twice, also after the loss of Redis. */
import type { Redis } from 'ioredis';
import type { Clock } from '../clock';
import { KEYS } from './keys';

export class Counters {
  constructor(
    private readonly redis: Redis,
    private readonly clock: Clock,
  ) {}

  /**
   * A larger epoch than every one before of the job (E1). A new counter starts at the current Unix second, so after a
   * loss of Redis it is above what manifests name, and also above what agents remember of aborted operations.
   */
  async nextEpoch(job: string): Promise<number> {
    const key = KEYS.epoch(job);
    await this.redis.set(key, Math.floor(this.clock.wallMs() / 1000), 'NX');
    return this.redis.incr(key);
  }

  /** For a command outside any operation that must not overtake one: the last epoch given. */
  async currentEpoch(job: string): Promise<number> {
    return Number((await this.redis.get(KEYS.epoch(job))) ?? 0) || this.nextEpoch(job);
  }

  async nextCheckpointId(): Promise<number> {
    return this.redis.incr(KEYS.checkpointId);
  }

  async nextMember(job: string): Promise<number> {
    return this.redis.incr(KEYS.member(job));
  }

  /** What the store was found to hold already. */
  async raiseCheckpointId(atLeast: number): Promise<void> {
    await this.#raise(KEYS.checkpointId, atLeast);
  }

  async raiseEpoch(job: string, atLeast: number): Promise<void> {
    const seconds = Math.floor(this.clock.wallMs() / 1000);
    await this.#raise(KEYS.epoch(job), Math.max(atLeast, seconds));
  }

  async raiseMember(job: string, atLeast: number): Promise<void> {
    await this.#raise(KEYS.member(job), atLeast);
  }

  /** Only one coordinator uses the state, so reading and writing need not be one step. */
  async #raise(key: string, atLeast: number): Promise<void> {
    const current = Number((await this.redis.get(key)) ?? 0);
    if (current < atLeast) await this.redis.set(key, atLeast);
  }
}
