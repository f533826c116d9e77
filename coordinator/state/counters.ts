/** Numbers that are never given twice, also after the loss of Redis. */
import type { Redis } from 'ioredis';
import type { Reservations } from '../catalog/reservations';
import type { Clock } from '../clock';
import { KEYS } from './keys';
import { JobLocks } from './locks';

export class Counters {
  /** By key: to raise one is two steps. Only the leader counts. */
  readonly #turns = new JobLocks();
  /** The newest checkpoint id of this leader, and what was found to be given before. */
  #given = 0;

  constructor(
    private readonly redis: Redis,
    private readonly clock: Clock,
    private readonly reservations: Reservations,
  ) {}

  /**
   * A larger epoch than every one before of the job (E1), and at least the current Unix second: so it is above what manifests name
   * and what agents remember, also when Redis was lost, or its last writes with a server that failed.
   */
  nextEpoch(job: string): Promise<number> {
    const key = KEYS.epoch(job);
    return this.#turns.run(key, async () => {
      await this.#raise(key, Math.floor(this.clock.wallMs() / 1000) - 1);
      return this.redis.incr(key);
    });
  }

  /** For a command outside any operation that must not overtake one: the last epoch given. */
  async currentEpoch(job: string): Promise<number> {
    return Number((await this.redis.get(KEYS.epoch(job))) ?? 0) || this.nextEpoch(job);
  }

  /** Redis may forget its last writes when a server fails, at any time: what this leader has given, and the store, know better. */
  nextCheckpointId(): Promise<number> {
    return this.#turns.run(KEYS.checkpointId, async () => {
      await this.#raise(KEYS.checkpointId, this.#given);
      const id = await this.redis.incr(KEYS.checkpointId);
      await this.reservations.cover(id);
      this.#given = id;
      return id;
    });
  }

  /** Whoever led before may have given ids that Redis has forgotten. */
  passReservedIds(): void {
    this.#given = Math.max(this.#given, this.reservations.ceiling);
  }

  async nextMember(job: string): Promise<number> {
    return this.redis.incr(KEYS.member(job));
  }

  /** What the store was found to hold already. */
  async raiseCheckpointId(atLeast: number): Promise<void> {
    await this.#inTurn(KEYS.checkpointId, atLeast);
  }

  async raiseEpoch(job: string, atLeast: number): Promise<void> {
    await this.#inTurn(KEYS.epoch(job), atLeast);
  }

  async raiseMember(job: string, atLeast: number): Promise<void> {
    await this.#inTurn(KEYS.member(job), atLeast);
  }

  #inTurn(key: string, atLeast: number): Promise<void> {
    return this.#turns.run(key, () => this.#raise(key, atLeast));
  }

  async #raise(key: string, atLeast: number): Promise<void> {
    const current = Number((await this.redis.get(key)) ?? 0);
    if (current < atLeast) await this.redis.set(key, atLeast);
  }
}
