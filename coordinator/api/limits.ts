/** How much of the coordinator one user may take: its calls are everybody's. */
import { HoldfastError } from '../../core/errors';
import type { Clock } from '../clock';
import type { Policies } from '../policies';
import { type Caller, hasRole } from './authorize';
import type { Call } from './handlers';

/** What a user may have saved up, in seconds of the rate. */
const BURST_S = 10;
/** A watch is one; so is the launch of each member of a job. */
const MAX_OPEN_CALLS = 4096;
/** Refusals of one user that are told, in the audit log: one in this time. */
const TOLD_EVERY_MS = 1_000;
/** Refusals of callers that nobody knows, in the audit log. */
const STRANGERS_PER_S = 10;
/** Full buckets say nothing that a new one would not. */
const MAX_BUCKETS = 1_000;

/** So many a second, and what was not used before, up to a burst. Pure but for its state; time is the caller's. */
export class TokenBucket {
  #tokens: number;

  constructor(
    private readonly burst: number,
    private sinceMs: number,
  ) {
    this.#tokens = burst;
  }

  /** @returns 0 when one was taken, else how long until there is one, in ms */
  take(perSecond: number, nowMs: number): number {
    this.#refill(perSecond, nowMs);
    if (this.#tokens < 1) return Math.ceil(((1 - this.#tokens) / perSecond) * 1000);
    this.#tokens -= 1;
    return 0;
  }

  isFull(perSecond: number, nowMs: number): boolean {
    this.#refill(perSecond, nowMs);
    return this.#tokens >= this.burst;
  }

  #refill(perSecond: number, nowMs: number): void {
    this.#tokens = Math.min(
      this.burst,
      this.#tokens + (Math.max(0, nowMs - this.sinceMs) / 1000) * perSecond,
    );
    this.sinceMs = nowMs;
  }
}

/** One of many: the first of each second is told. */
export class FloodError extends HoldfastError {
  constructor(
    message: string,
    remedy: string,
    readonly isTold: boolean,
  ) {
    super('LIMIT_EXCEEDED', message, remedy);
  }
}

interface Use {
  readonly rate: number;
  readonly bucket: TokenBucket;
  toldMs: number;
}

export class CallLimits {
  readonly #uses = new Map<number, Use>();
  readonly #open = new Map<number, number>();
  readonly #strangers: TokenBucket;

  constructor(
    private readonly rateOf: () => Policies['userRate'],
    private readonly clock: Pick<Clock, 'monotonicMs'>,
    private readonly maxOpen = MAX_OPEN_CALLS,
  ) {
    this.#strangers = new TokenBucket(STRANGERS_PER_S * BURST_S, clock.monotonicMs());
  }

  /**
   * Admins are not limited.
   * @returns what ends the call; said again it does nothing
   * @throws FloodError LIMIT_EXCEEDED
   */
  begin(caller: Caller, call: Call): () => void {
    if (hasRole(caller, 'admin')) return () => {};
    const { uid } = caller;
    const open = this.#open.get(uid) ?? 0;
    if (open >= this.maxOpen) {
      const message = `${open} calls of uid ${uid} are open`;
      throw new FloodError(message, 'wait until some have ended', this.#isTold(uid));
    }
    // Those of an MPI launcher: as many at once as the job has nodes.
    if (call !== 'launchMember') this.#take(uid);
    this.#open.set(uid, open + 1);
    let isOpen = true;
    return () => {
      if (!isOpen) return;
      isOpen = false;
      const left = (this.#open.get(uid) ?? 1) - 1;
      if (left > 0) this.#open.set(uid, left);
      else this.#open.delete(uid);
    };
  }

  /** Whether one more refusal of nobody in particular is told: anybody in the network can have many. */
  tellsOfStranger(): boolean {
    return this.#strangers.take(STRANGERS_PER_S, this.clock.monotonicMs()) === 0;
  }

  #take(uid: number): void {
    const rate = this.rateOf();
    if (rate === 0) return;
    const waitMs = this.#useOf(uid).bucket.take(rate, this.clock.monotonicMs());
    if (waitMs === 0) return;
    const message = `uid ${uid} makes more than ${rate} calls a second`;
    throw new FloodError(
      message,
      `try again in ${Math.max(0.1, waitMs / 1000).toFixed(1)} s`,
      this.#isTold(uid),
    );
  }

  #isTold(uid: number): boolean {
    const use = this.#useOf(uid);
    const nowMs = this.clock.monotonicMs();
    if (nowMs - use.toldMs < TOLD_EVERY_MS) return false;
    use.toldMs = nowMs;
    return true;
  }

  #useOf(uid: number): Use {
    const rate = this.rateOf();
    const nowMs = this.clock.monotonicMs();
    const known = this.#uses.get(uid);
    if (known?.rate === rate) return known;
    if (this.#uses.size >= MAX_BUCKETS) {
      for (const [other, use] of this.#uses) if (use.bucket.isFull(rate, nowMs)) this.#uses.delete(other);
    }
    const use = { rate, bucket: new TokenBucket(rate * BURST_S, nowMs), toldMs: Number.NEGATIVE_INFINITY };
    this.#uses.set(uid, use);
    return use;
  }
}
