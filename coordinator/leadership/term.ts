/** One time of leading: from a lease that was taken until it is lost, or given back. */
import type { Redis } from 'ioredis';
import type { Logger } from '../../core/log';
import type { Clock } from '../clock';
import { Signal } from '../signal';
import { KEYS } from '../state/keys';
import { type Fence, notLeading } from './fence';
import { type Held, releaseLease, renewLease } from './lease';

export interface TermParts {
  readonly redis: Redis;
  readonly clock: Clock;
  readonly log: Logger;
  readonly leaseMs: number;
  /** HOST:PORT where agents reach this coordinator. */
  readonly address: string;
  /** The only one that can reach this Redis: nobody takes its term away, so its lease need not be renewed. */
  readonly isAlone: boolean;
}

const RENEWALS_PER_LEASE = 3;

interface Moment {
  readonly monotonicMs: number;
  readonly wallMs: number;
}

export class Term implements Fence {
  /** Once, with the reason; from then on nothing is led. */
  readonly over = new Signal<string>();
  readonly #stops: (() => void)[] = [];
  #isOver = false;
  /** When the renewal that succeeded last was sent. */
  #renewedAt: Moment;

  /** @param takenAt when the lease was asked for */
  constructor(
    private readonly parts: TermParts,
    private readonly held: Held,
    takenAt: Moment,
  ) {
    this.#renewedAt = takenAt;
    if (parts.isAlone) return;
    const { clock, leaseMs } = parts;
    this.#stops.push(clock.every(leaseMs / RENEWALS_PER_LEASE, () => void this.#renew()));
    // More often than it is renewed: the end must not be noticed late.
    this.#stops.push(clock.every(leaseMs / 20, () => this.isHeld || this.#end('its lease has ended')));
  }

  get term(): number {
    return this.held.term;
  }

  get token(): string {
    return this.held.token;
  }

  /**
   * By its own clocks, so without asking: until then nobody else can have begun (A1). A machine that was suspended may have
   * stopped one of them, and people set the other.
   */
  get isHeld(): boolean {
    if (this.#isOver) return false;
    if (this.parts.isAlone) return true;
    const { monotonicMs, wallMs } = momentOf(this.parts.clock);
    const passedMs = Math.max(monotonicMs - this.#renewedAt.monotonicMs, wallMs - this.#renewedAt.wallMs);
    return passedMs < this.parts.leaseMs;
  }

  /** @throws HoldfastError COORDINATOR_UNAVAILABLE */
  requireHeld(): void {
    if (this.isHeld) return;
    this.#end('its lease has ended');
    throw notLeading();
  }

  /** Asks Redis. @throws HoldfastError COORDINATOR_UNAVAILABLE, or that Redis does not answer */
  async confirm(): Promise<void> {
    this.requireHeld();
    if ((await this.parts.redis.get(KEYS.term)) !== this.token) this.onRefused();
    this.requireHeld();
  }

  readonly onRefused = (): void => this.#end('another coordinator leads, or Redis has lost its state');

  /** Gives the lease back, so that the next one can begin at once. */
  async close(): Promise<void> {
    this.#end('it was given back');
    await releaseLease(this.parts.redis, this.held);
  }

  async #renew(): Promise<void> {
    const { redis, clock, log, address, leaseMs } = this.parts;
    const sentAt = momentOf(clock);
    try {
      if (!(await renewLease(redis, this.held, address, leaseMs))) this.onRefused();
      else if (sentAt.monotonicMs > this.#renewedAt.monotonicMs) this.#renewedAt = sentAt;
    } catch (err) {
      log.warn({ err, term: this.term }, 'the lease of the leader was not renewed');
    }
  }

  #end(reason: string): void {
    if (this.#isOver) return;
    this.#isOver = true;
    for (const stop of this.#stops) stop();
    this.over.emit(reason);
  }
}

export const momentOf = (clock: Clock): Moment => ({
  monotonicMs: clock.monotonicMs(),
  wallMs: clock.wallMs(),
});
