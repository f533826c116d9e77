/**
 * The BullMQ queues: operations that wait, and the schedulers that ring when a job's next tick is due. The records of
 * operations and schedules are durable before, so the queues are emptied at start and filled again from the records.
 */
import { type ConnectionOptions, Queue, Worker } from 'bullmq';
import type { RedisOptions } from 'ioredis';
import type { Logger } from '../../core/log';
import { Signal } from '../signal';
import { QUEUE_PREFIX } from '../state/keys';
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
  readonly tick: (job: string, dueMs: number) => Promise<{ skipped: string } | { operation: string }>;
}

export class Queues {
  /** What came of a tick of a schedule. */
  readonly ticked = new Signal<'started' | 'skipped'>();
  readonly #checkpoint: Queue<Work>;
  readonly #restart: Queue<Work>;
  readonly #tick: Queue<Work>;
  readonly #workers: Worker<Work>[] = [];
  readonly #connection: ConnectionOptions;

  constructor(
    redis: RedisOptions,
    private readonly log: Logger,
  ) {
    // Workers block on Redis as long as it takes; their commands must not give up.
    this.#connection = { ...redis, maxRetriesPerRequest: null } as ConnectionOptions;
    this.#checkpoint = this.#queue('checkpoint');
    this.#restart = this.#queue('restart');
    this.#tick = this.#queue('tick');
  }

  get #all(): Queue<Work>[] {
    return [this.#checkpoint, this.#restart, this.#tick];
  }

  #queue(name: string): Queue<Work> {
    const queue = new Queue<Work>(name, {
      connection: this.#connection,
      prefix: QUEUE_PREFIX,
      settings: { repeatStrategy },
      // An operation that failed is a result, kept in its record: the queue tries nothing again by itself.
      defaultJobOptions: { attempts: 1, removeOnComplete: true, removeOnFail: true },
    });
    queue.on('error', (err) => this.log.error({ err, queue: name }, 'queue'));
    return queue;
  }

  /** Before any add(): what is left of an earlier coordinator. */
  async clear(): Promise<void> {
    await Promise.all(this.#all.map((queue) => queue.obliterate({ force: true })));
  }

  start(workers: Workers): void {
    for (const queue of this.#all) {
      const worker = new Worker<Work>(queue.name, ({ data }) => this.#process(workers, data), {
        connection: this.#connection,
        prefix: QUEUE_PREFIX,
        concurrency: CONCURRENCY,
        // There is no second coordinator that could take over what this one works on.
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
    this.ticked.emit('skipped' in outcome ? 'skipped' : 'started');
    if ('skipped' in outcome)
      this.log.info({ job: work.tick, reason: outcome.skipped }, 'periodic checkpoint skipped');
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

  async close(): Promise<void> {
    await Promise.all(this.#workers.map((worker) => worker.close()));
    await Promise.all(this.#all.map((queue) => queue.close()));
  }
}
