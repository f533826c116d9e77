/** Simulated time, and processes in it that stand still or die between any two steps. */
import type { Clock } from '../../../../coordinator/clock';
import type { ObjectStore } from '../../../../store/contract';

const NEVER = new Promise<never>(() => {});

interface Event {
  readonly atMs: number;
  readonly order: number;
  run: (() => void) | null;
}

export class World {
  nowMs = 1_700_000_000_000;
  readonly #events: Event[] = [];
  #order = 0;
  #state: bigint;

  constructor(seed: number) {
    this.#state = BigInt(seed) * 2n + 1n;
  }

  below(limit: number): number {
    this.#state = (this.#state * 6364136223846793005n + 1442695040888963407n) & 0xffffffffffffffffn;
    return Number(this.#state >> 33n) % limit;
  }

  pick<T>(choices: readonly T[]): T {
    return choices[this.below(choices.length)] as T;
  }

  after(delayMs: number, run: () => void): () => void {
    const event: Event = { atMs: this.nowMs + Math.max(0, delayMs), order: this.#order++, run };
    let at = this.#events.length;
    // Most events come soon: kept with the soonest at the end.
    while (at > 0 && isLater(event, this.#events[at - 1] as Event)) at--;
    this.#events.splice(at, 0, event);
    return () => {
      event.run = null;
    };
  }

  /** Until it is so. @throws when the time is over */
  until(what: string, isSo: () => boolean, limitMs = 600_000): Promise<void> {
    const endMs = this.nowMs + limitMs;
    return inTurns(() => {
      Process.leave();
      if (isSo()) return true;
      // The question has set a process to work, which comes first.
      if (Process.current !== undefined) return false;
      const next = this.#next();
      if (next === null || next.atMs > endMs) throw new Error(`${what}: not within ${limitMs / 1000} s`);
      this.nowMs = next.atMs;
      next.run();
      return false;
    });
  }

  #next(): { readonly atMs: number; readonly run: () => void } | null {
    for (let next = this.#events.pop(); next !== undefined; next = this.#events.pop())
      if (next.run !== null) return { atMs: next.atMs, run: next.run };
    return null;
  }

  async pass(ms: number): Promise<void> {
    let isOver = false;
    this.after(ms, () => {
      isOver = true;
    });
    await this.until('time passes', () => isOver, ms + 1);
  }
}

function isLater(a: Event, b: Event): boolean {
  return a.atMs === b.atMs ? a.order > b.order : a.atMs > b.atMs;
}

/** Node has whatever was begun in one of them come to where it waits before it calls the next: a turn of its own loop for each takes far longer. */
const TURNS_AT_ONCE = 50;

/** In each turn one step is taken, and all that it begins is done as far as it goes, until a step says that it was the last one. */
function inTurns(step: () => boolean): Promise<void> {
  return new Promise((resolve, reject) => {
    let isOver = false;
    const turn = () => {
      if (isOver) return;
      try {
        isOver = step();
      } catch (thrown) {
        isOver = true;
        reject(thrown);
      }
      if (isOver) resolve();
    };
    const turns = () => {
      if (isOver) return;
      for (let i = 0; i < TURNS_AT_ONCE; i++) setImmediate(turn);
      setImmediate(turns);
    };
    turns();
  });
}

/** What is struck at a step: the process ends, or stands still for a while. */
export type Blow = { readonly kind: 'kill' } | { readonly kind: 'pause'; readonly ms: number };

export class Process {
  /** Whose turn it is: what one step begins is done before the next one is taken. */
  static #current: Process | undefined;

  isDead = false;
  struck = false;
  #isPaused = false;
  #backlog: (() => void)[] = [];
  /** At a named point, or after so many steps. */
  armed: { readonly at: string | number; readonly blow: Blow } | null = null;
  #steps = 0;

  constructor(
    private readonly world: World,
    readonly name: string,
    private readonly onDeath: () => void,
  ) {}

  /** Where the code under test calls faultPoint(). */
  static reached(point: string): void {
    Process.#current?.reached(point);
  }

  static get current(): Process | undefined {
    return Process.#current;
  }

  /** Nobody's turn yet. */
  static leave(): void {
    Process.#current = undefined;
  }

  readonly clock: Clock = {
    wallMs: () => this.world.nowMs,
    monotonicMs: () => this.world.nowMs,
    after: (delayMs, run) => {
      // What was due while the process stood still may be cancelled before it comes to it.
      let isCancelled = false;
      const cancel = this.world.after(delayMs, () => this.enter(() => isCancelled || run()));
      return () => {
        isCancelled = true;
        cancel();
      };
    },
    every: (periodMs, run) => {
      let cancel: () => void;
      const again = () => {
        cancel = this.clock.after(periodMs, () => {
          again();
          run();
        });
      };
      again();
      return () => cancel();
    },
  };

  /** An event reaches the process: now, when it goes on, or never. */
  enter(run: () => void): void {
    if (this.isDead) return;
    if (this.#isPaused) this.#backlog.push(() => this.enter(run));
    else {
      Process.#current = this;
      run();
    }
  }

  reached(point: string): void {
    if (this.armed?.at === point) this.#strike(this.armed.blow);
  }

  step(): void {
    this.#steps++;
    if (typeof this.armed?.at === 'number' && this.#steps >= this.armed.at) this.#strike(this.armed.blow);
  }

  arm(at: string | number, blow: Blow): void {
    this.armed = { at: typeof at === 'number' ? this.#steps + at : at, blow };
  }

  #strike(blow: Blow): void {
    this.armed = null;
    this.struck = true;
    if (blow.kind === 'kill') this.kill();
    else {
      this.#isPaused = true;
      this.world.after(blow.ms, () => this.goOn());
    }
  }

  goOn(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    Process.#current = this;
    for (const run of this.#backlog.splice(0)) run();
  }

  kill(): void {
    if (this.isDead) return;
    this.isDead = true;
    this.#backlog = [];
    this.onDeath();
  }

  get isUp(): boolean {
    return !this.isDead && !this.#isPaused;
  }

  async alive(): Promise<void> {
    if (this.isDead) await NEVER;
    while (this.#isPaused) await new Promise<void>((resolve) => this.#backlog.push(resolve));
    if (this.isDead) await NEVER;
  }

  /**
   * What is outside of the process: a step before each call and one after it, at which it may be struck. A call that was decided on
   * in this turn is sent, but its answer waits.
   */
  around<T extends object>(target: T): T {
    return new Proxy(target, {
      get: (_, name) => {
        const member = Reflect.get(target, name, target);
        if (typeof member !== 'function') return member;
        if (name === 'list') return (prefix: string) => this.#list(target as unknown as ObjectStore, prefix);
        return async (...words: unknown[]) => {
          this.step();
          if (this.isDead) await NEVER;
          try {
            return await member.apply(target, words);
          } finally {
            this.step();
            await this.alive();
          }
        };
      },
    });
  }

  async *#list(store: ObjectStore, prefix: string) {
    this.step();
    const found = [];
    for await (const info of store.list(prefix)) found.push(info);
    await this.alive();
    yield* found;
  }
}
