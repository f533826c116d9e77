/** Failures and uptime of all nodes, as observed: what survives in Redis is the sum. */
import type { Redis } from 'ioredis';
import { z } from 'zod';
import type { Clock } from '../clock';
import { Signal } from '../signal';
import { KEYS } from '../state/keys';
import type { Observed } from './estimate';

const schema = z.object({ failures: z.coerce.number(), uptimeMs: z.coerce.number() });

/** What a crash may cost of the uptime. */
const SAVE_MS = 60_000;

export class FailureTally {
  readonly changed = new Signal<Observed>();
  #nodes = 0;
  #countedAtMs: number;
  /** When the losses were counted that may still turn out to be our own. */
  #recentMs: number[] = [];

  private constructor(
    private readonly redis: Redis,
    private readonly clock: Clock,
    private readonly doubtMs: number,
    private observed: Observed,
  ) {
    this.#countedAtMs = clock.monotonicMs();
  }

  /** @param doubtMs within which losses of all nodes are one: that of the coordinator's own connection */
  static async load(redis: Redis, clock: Clock, doubtMs: number): Promise<FailureTally> {
    const stored = await redis.hgetall(KEYS.failures);
    const observed = schema.safeParse(stored);
    const none = { failures: 0, uptimeMs: 0 };
    return new FailureTally(redis, clock, doubtMs, observed.success ? observed.data : none);
  }

  get now(): Observed {
    return this.observed;
  }

  /** So many nodes are up from now on. */
  async setNodes(count: number): Promise<void> {
    this.#count();
    this.#nodes = count;
    await this.#save();
  }

  /** @param isAll no node is left: then it was the coordinator that was cut off, not the nodes that failed */
  async nodeLost(isAll: boolean): Promise<void> {
    const nowMs = this.clock.monotonicMs();
    this.#count();
    const doubtful = this.#recentMs.filter((atMs) => atMs >= nowMs - this.doubtMs);
    const { failures } = this.observed;
    this.observed = { ...this.observed, failures: isAll ? failures - doubtful.length : failures + 1 };
    this.#recentMs = isAll ? [] : [...doubtful, nowMs];
    await this.#save();
    this.changed.emit(this.observed);
  }

  /** The result stops. */
  keep(onError: (thrown: unknown) => void): () => void {
    return this.clock.every(SAVE_MS, () => {
      this.#count();
      this.#save().catch(onError);
    });
  }

  #count(): void {
    const nowMs = this.clock.monotonicMs();
    const uptimeMs = this.observed.uptimeMs + this.#nodes * (nowMs - this.#countedAtMs);
    this.observed = { ...this.observed, uptimeMs };
    this.#countedAtMs = nowMs;
  }

  async #save(): Promise<void> {
    const { failures, uptimeMs } = this.observed;
    await this.redis.hset(KEYS.failures, { failures, uptimeMs: Math.round(uptimeMs) });
  }
}
