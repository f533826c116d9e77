/** What this coordinator is: it stands by until it gets the lease, leads until it loses it, and stands by again (A1). */
import { randomUUID } from 'node:crypto';
import type { Redis } from 'ioredis';
import { NotLeaderError } from '../../core/errors';
import type { Logger } from '../../core/log';
import type { Caller } from '../api/authorize';
import type { Handlers } from '../api/handlers';
import type { Clock } from '../clock';
import type { Fleet } from '../sessions/fleet';
import { notLeading } from './fence';
import { currentLeader, takeLease } from './lease';
import { handlersOf, type Serving } from './serving';
import { momentOf, Term } from './term';

/** The work of a leader; it has begun. */
export interface Leading {
  readonly serving: Serving;
  readonly fleet: Fleet;
  /** At once, and for good: another one leads, or will. */
  abandon(): void;
}

export interface PostParts<L extends Leading> {
  readonly redis: Redis;
  readonly clock: Clock;
  readonly log: Logger;
  readonly leaseMs: number;
  /** HOST:PORT where agents reach this coordinator, from start() on. */
  readonly address: () => string;
  readonly isAlone: boolean;
  readonly standby: (leader: () => string) => Serving;
  /** Takes the work over. When it throws, it has left nothing behind. */
  readonly lead: (term: Term) => Promise<L>;
}

const TRIES_PER_LEASE = 5;
const SOON_MS = 20;

export class Post<L extends Leading = Leading> {
  readonly #standby: Serving;
  #leading: L | null = null;
  #term: Term | null = null;
  #leader = '';
  #isClosing = false;
  #cancelTry: () => void = () => {};

  constructor(private readonly parts: PostParts<L>) {
    this.#standby = parts.standby(this.leader);
  }

  /** HOST:PORT; empty: none leads. */
  readonly leader = (): string => this.#leader;
  readonly leads = (): boolean => this.#leading !== null;
  /** 0: it does not lead. */
  readonly term = (): number => (this.#leading === null ? 0 : (this.#term?.term ?? 0));
  readonly handlers = (caller: Caller): Handlers =>
    handlersOf(this.#leading?.serving ?? this.#standby, caller);

  readonly fleet = (): Fleet => {
    if (this.#leading !== null) return this.#leading.fleet;
    throw new NotLeaderError(this.#leader);
  };

  get leading(): L | null {
    return this.#leading;
  }

  /** Resolves when it leads or stands by. @throws what taking over throws, this first time */
  async start(): Promise<void> {
    const isTaken = await this.#take();
    if (!isTaken) this.parts.log.info({ leader: this.#leader }, 'the coordinator stands by');
    if (!isTaken) await this.#tryLater();
  }

  /** From now on it takes no lease: what it leads comes to its end. */
  retire(): void {
    this.#isClosing = true;
    this.#cancelTry();
  }

  /** What leads must have come to its end: its lease is given back. */
  async close(): Promise<void> {
    this.retire();
    this.#leading = null;
    await this.#term?.close().catch(() => undefined);
  }

  async #tryLater(): Promise<void> {
    const { redis, clock, leaseMs, log } = this.parts;
    let waitMs = leaseMs / TRIES_PER_LEASE;
    try {
      const leader = await currentLeader(redis);
      this.#leader = leader?.address ?? '';
      waitMs = Math.max(SOON_MS, Math.min(waitMs, leader?.remainingMs ?? 0));
    } catch (err) {
      log.warn({ err }, 'who leads is not known');
    }
    if (!this.#isClosing) this.#cancelTry = clock.after(waitMs, () => void this.#try());
  }

  async #try(): Promise<void> {
    try {
      if (await this.#take()) return;
    } catch (err) {
      this.parts.log.error({ err }, 'the work of the leader was not taken over');
    }
    if (!this.#isClosing) await this.#tryLater();
  }

  /** Leads, or does not. */
  async #take(): Promise<boolean> {
    const { parts } = this;
    const askedAt = momentOf(parts.clock);
    const address = parts.address();
    const held = await takeLease(parts.redis, { owner: randomUUID(), address }, parts.leaseMs, parts.isAlone);
    if (held === null) return false;
    const term = new Term({ ...parts, address }, held, askedAt);
    let leading: L;
    try {
      if (this.#isClosing) throw notLeading();
      leading = await parts.lead(term);
    } catch (thrown) {
      await term.close().catch(() => undefined);
      throw thrown;
    }
    const stepDown = (reason: string) => {
      this.#leading = null;
      leading.abandon();
      if (this.#isClosing) return;
      parts.log.warn({ term: term.term, reason }, 'this coordinator leads no more');
      void this.#tryLater();
    };
    this.#term = term;
    this.#leading = leading;
    this.#leader = address;
    parts.log.info({ term: term.term }, 'this coordinator leads');
    term.over.subscribe(stepDown);
    // It may have been lost, or to be given back, while the work was taken over.
    if (this.#isClosing) await term.close();
    if (!term.isHeld) stepDown('its lease has ended');
    return true;
  }
}
