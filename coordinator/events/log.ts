/**
 * The events of all jobs and operations as every coordinator reads them from Redis, and what is the present state of those that have
 * not ended: who watches is served from here, whoever leads. An id names the same event on all coordinators.
 */
import type { Redis } from 'ioredis';
import { HoldfastError } from '../../core/errors';
import type { Logger } from '../../core/log';
import { Job, Operation } from '../../proto/gen/holdfast/v1/coordinator';
import type { Clock } from '../clock';
import { Signal } from '../signal';
import { isEnded } from '../state/jobs';
import { KEYS } from '../state/keys';
import { type Entry, entryOf, isOlder, KEPT_ENTRIES } from './entry';

const START = '0-0';
const BATCH = 500;
/** How often a stream without news is looked at. */
const IDLE_MS = 1_000;
const RETRY_MS = 200;
const BEHIND_MS = 5_000;

export interface EventLogParts {
  /** Of its own: it waits in it. */
  readonly reader: Redis;
  readonly redis: Redis;
  readonly clock: Clock;
  readonly log: Logger;
}

export class EventLog {
  readonly appended = new Signal<Entry>();
  /** Redis has lost what it had told: what is present was read anew, and may have changed without an event. */
  readonly renewed = new Signal<void>();
  readonly #moved = new Signal<void>();
  /** Oldest first. */
  #recent: Entry[] = [];
  /** By job or operation: its newest state, as long as that is not the last one. */
  #present = new Map<string, Entry>();
  #position = START;
  #isClosed = false;

  private constructor(private readonly parts: EventLogParts) {}

  static async open(parts: EventLogParts): Promise<EventLog> {
    const events = new EventLog(parts);
    await events.#load();
    void events.#follow();
    return events;
  }

  /** The newest entry that was read; empty: there was none yet. */
  get position(): string {
    return this.#position === START ? '' : this.#position;
  }

  find(subject: string): Entry | undefined {
    return this.#present.get(subject);
  }

  /** Open operations of the job, oldest first. */
  openOf(job: string): Entry[] {
    const open = [...this.#present.values()].filter(
      (entry) => entry.kind === 'operation' && entry.job === job,
    );
    return open.sort((a, b) => (a.subject < b.subject ? -1 : 1));
  }

  /** What was told after that entry; null: that is not known any more. */
  since(id: string): readonly Entry[] | null {
    const at = this.#recent.findLastIndex((entry) => entry.id === id);
    return at < 0 ? null : this.#recent.slice(at + 1);
  }

  /** Resolves when all is read that is on record now. @throws HoldfastError COORDINATOR_UNAVAILABLE */
  async caughtUp(): Promise<void> {
    const { redis, clock } = this.parts;
    const newest = await newestId(redis);
    if (!isOlder(this.#position, newest)) return;
    await new Promise<void>((resolve, reject) => {
      const end = (then: () => void) => {
        unsubscribe();
        cancel();
        then();
      };
      const unsubscribe = this.#moved.subscribe(() => {
        if (!isOlder(this.#position, newest)) end(resolve);
      });
      const cancel = clock.after(BEHIND_MS, () => end(() => reject(behind())));
    });
  }

  close(): void {
    this.#isClosed = true;
    this.parts.reader.disconnect();
  }

  /** All of one moment. */
  async #load(): Promise<void> {
    const step = this.parts.redis.multi().hgetall(KEYS.jobs).hgetall(KEYS.openOperations);
    const replies = (await step.xrange(KEYS.events, '-', '+').exec()) ?? [];
    const [jobs = {}, operations = {}, entries = []] = replies.map(([error, reply]) => {
      if (error) throw error;
      return reply;
    }) as [Record<string, string>?, Record<string, string>?, [string, string[]][]?];
    this.#recent = entries.map(entryOf).slice(-KEPT_ENTRIES);
    this.#position = this.#recent.at(-1)?.id ?? START;
    const present = [...Object.values(jobs).map(jobEntry), ...Object.values(operations).map(operationEntry)];
    this.#present = new Map(present.filter(({ isOver }) => !isOver).map((entry) => [entry.subject, entry]));
  }

  async #follow(): Promise<void> {
    while (!this.#isClosed) {
      try {
        await this.#read();
      } catch (err) {
        if (this.#isClosed) return;
        this.parts.log.warn({ err }, 'events cannot be read');
        await new Promise<void>((resolve) => void this.parts.clock.after(RETRY_MS, resolve));
      }
    }
  }

  async #read(): Promise<void> {
    const { reader } = this.parts;
    const words = ['COUNT', BATCH, 'BLOCK', IDLE_MS, 'STREAMS', KEYS.events, this.#position] as const;
    const [stream] = (await reader.xread(...words)) ?? [];
    const entries = (stream?.[1] ?? []).map(entryOf);
    // Who leads next may have found a Redis that has lost something, or all.
    const isDoubtful = entries.length === 0 || entries.some(({ kind }) => kind === 'term');
    if (isDoubtful && !(await this.#isWhole())) {
      await this.#load();
      this.renewed.emit();
    } else for (const entry of entries) this.#take(entry);
    this.#moved.emit();
  }

  #take(entry: Entry): void {
    this.#position = entry.id;
    this.#recent.push(entry);
    if (this.#recent.length > 2 * KEPT_ENTRIES) this.#recent = this.#recent.slice(-KEPT_ENTRIES);
    if (entry.isOver) this.#present.delete(entry.subject);
    else if (entry.kind !== 'term') this.#present.set(entry.subject, entry);
    this.appended.emit(entry);
  }

  /** The newest that was read is still there: nothing before it can be missing. */
  async #isWhole(): Promise<boolean> {
    if (this.#position === START) return true;
    const found = await this.parts.redis.xrange(KEYS.events, this.#position, this.#position);
    return found.length > 0;
  }
}

async function newestId(redis: Redis): Promise<string> {
  const [newest] = await redis.xrevrange(KEYS.events, '+', '-', 'COUNT', 1);
  return newest?.[0] ?? START;
}

function jobEntry(text: string): Entry {
  const job = Job.fromJSON(JSON.parse(text));
  return { id: '', kind: 'job', subject: job.id, job: job.id, isOver: isEnded(job), text };
}

function operationEntry(text: string): Entry {
  const { operation } = JSON.parse(text) as { operation: unknown };
  const { id, job } = Operation.fromJSON(operation);
  return { id: '', kind: 'operation', subject: id, job, isOver: false, text: JSON.stringify(operation) };
}

function behind(): HoldfastError {
  const message = 'this coordinator does not get to the newest events in Redis';
  return new HoldfastError(
    'COORDINATOR_UNAVAILABLE',
    message,
    'try again; if it stays so, look at its Redis',
  );
}
