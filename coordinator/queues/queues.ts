/**
 * The BullMQ queues: operations that wait, and the schedulers that ring when a job's next tick is due. The records of
 * operations and schedules are durable before, so each leader has queues of its own, which begin empty and are filled from the
 * records: none takes from another's what it cannot do any more, and none is given what is over (A4).
 */
import { Queue, Worker } from 'bullmq';
import type { Redis } from 'ioredis';
import type { Logger } from '../../core/log';
import { Signal } from '../signal';
import { KEYS, QUEUE_PREFIX } from '../state/keys';
import type { OperationRecord } from '../state/operations';

/** Operations at once. Most of them wait, for agents or for their job's lock: the limit is against a runaway only. */
const CONCURRENCY = 1024;

type Work = { operation: string } | { tick: string; dueMs: number };

/** A scheduler rings once, at its start: when it rings next is decided anew each time (schedule/plan.ts). */
const ONCE = 'once';
const repeatStrategy = (_nowMs: number, { startDate }: { startDate?: Date | string | number }) =>
  new Date(startDate ?? 0).getTime();

export interface Workers {
  readonly runOperation: (id: string) => Promise<unknown>;
  /** One tick of a job's schedule; the reason when it was skipped. */
  readonly tick: (job: string, dueMs: number) => Promise<TickOutcome>;
}

/** lateMs: after it was due. */
export type TickOutcome = { skipped: string } | { operation: string; lateMs: number };

export type Ticked = { outcome: 'started'; lateMs: number } | { outcome: 'skipped' };

export class Queues {
  /** What came of a tick of a schedule. */
  readonly ticked = new Signal<Ticked>();
  readonly #checkpoint: Queue<Work>;
  readonly #restart: Queue<Work>;
  readonly #tick: Queue<Work>;
  readonly #workers: Worker<Work>[] = [];

  /**
   * @param connection of these queues alone; its commands must not give up, since workers block as long as it takes
   * @param term whose queues they are
   */
  constructor(
    private readonly connection: Redis,
    private readonly term: number,
    private readonly log: Logger,
  ) {
    connection.on('error', (err) => log.error({ err }, 'queues'));
    this.#checkpoint = this.#queue('checkpoint');
    this.#restart = this.#queue('restart');
    this.#tick = this.#queue('tick');
  }

  get #all(): Queue<Work>[] {
    return [this.#checkpoint, this.#restart, this.#tick];
  }

  #queue(name: string, term = this.term): Queue<Work> {
    const queue = new Queue<Work>(name, {
      connection: this.connection,
      prefix: prefixOf(term),
      settings: { repeatStrategy },
      // An operation that failed is a result, kept in its record: the queue tries nothing again by itself.
      defaultJobOptions: { attempts: 1, removeOnComplete: true, removeOnFail: true },
    });
    queue.on('error', (err) => this.log.error({ err, queue: name }, 'queue'));
    return queue;
  }

  /**
   * Before any add(): takes away what is left of earlier leaders. The last one may not know yet that it is none any more, and
   * add something after that: it stays on record.
   * @param redis writes under this leader's term
   */
  async clear(redis: Redis): Promise<void> {
    await redis.hset(KEYS.queueTerms, String(this.term), '1');
    const earlier = Object.keys(await redis.hgetall(KEYS.queueTerms))
      .map(Number)
      .filter((term) => term !== this.term)
      .sort((a, b) => a - b);
    for (const term of earlier) {
      for (const name of this.#all.map((queue) => queue.name)) {
        const queue = this.#queue(name, term);
        await queue.obliterate({ force: true });
        await queue.close();
      }
    }
    const gone = earlier.slice(0, -1).map(String);
    if (gone.length > 0) await redis.hdel(KEYS.queueTerms, ...gone);
  }

  start(workers: Workers): void {
    for (const queue of this.#all) {
      const worker = new Worker<Work>(queue.name, ({ data }) => this.#process(workers, data), {
        connection: this.connection,
        prefix: prefixOf(this.term),
        concurrency: CONCURRENCY,
        // Nobody else takes from these queues.
        skipStalledCheck: true,
      });
      worker.on('error', (err) => this.log.error({ err, queue: queue.name }, 'worker'));
      worker.on('failed', (_, err) => this.log.error({ err, queue: queue.name }, 'operation'));
      this.#workers.push(worker);
    }
  }

  async #process(workers: Workers, work: Work): Promise<unknown> {
    if ('operation' in work) {
      await workers.runOperation(work.operation);
      return work.operation;
    }
    const outcome = await workers.tick(work.tick, work.dueMs);
    if ('skipped' in outcome) {
      this.ticked.emit({ outcome: 'skipped' });
      this.log.info({ job: work.tick, reason: outcome.skipped }, 'periodic checkpoint skipped');
    } else this.ticked.emit({ outcome: 'started', lateMs: outcome.lateMs });
    return outcome;
  }

  async add({ operation, request }: OperationRecord, delayMs = 0): Promise<void> {
    const queue = request.kind === 'checkpoint' ? this.#checkpoint : this.#restart;
    await queue.add(request.kind, { operation: operation.id }, { jobId: operation.id, delay: delayMs });
  }

  /** Rings at that time, in place of an earlier ring that was asked for; at once when it has passed. */
  async ring(job: string, dueMs: number, atMs: number): Promise<void> {
    const once = { pattern: ONCE, startDate: atMs, limit: 1 };
    await this.#tick.upsertJobScheduler(job, once, { name: 'tick', data: { tick: job, dueMs } });
  }

  async silence(job: string): Promise<void> {
    await this.#tick.removeJobScheduler(job);
  }

  /**
   * Without waiting for what is at work: whoever closes has waited for that before, or its Redis may be gone. A worker that waits
   * would keep the timers of its locks, and with them this process.
   */
  close(): void {
    for (const worker of this.#workers) worker.close(true).catch(() => undefined);
    for (const queue of this.#all) queue.close().catch(() => undefined);
    this.connection.disconnect();
  }
}

const prefixOf = (term: number): string => `${QUEUE_PREFIX}:${term}`;
