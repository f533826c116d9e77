/** Checkpoints and restarts: the open ones in memory and Redis, ended ones in Redis until they expire. */
import { promisify } from 'node:util';
import { deflateRaw, inflateRawSync } from 'node:zlib';
import type { ChainableCommander, Redis } from 'ioredis';
import { z } from 'zod';
import { HoldfastError } from '../../core/errors';
import { STOP_CAUSES } from '../../core/slurm/names';
import { Operation } from '../../proto/gen/holdfast/v1/coordinator';
import { LiveMode } from '../../proto/gen/holdfast/v1/manifest';
import { type News, tell } from '../events/entry';
import { Signal } from '../signal';
import { KEYS } from './keys';

const ENDED_DAYS = 30;
/** The oldest go before their time when there are more: a busy cluster ends as many in hours. */
const MAX_ENDED = 50_000;

/** now: beyond the limit of checkpoints in flight. high: the first that get in. normal: those by schedule. */
export const URGENCIES = ['now', 'high', 'normal'] as const;
export type Urgency = (typeof URGENCIES)[number];

const requestSchema = z.discriminatedUnion('kind', [
  z.object({
    kind: z.literal('checkpoint'),
    stop: z.boolean(),
    periodic: z.boolean(),
    live: z.enum(LiveMode).default(LiveMode.UNSPECIFIED),
    urgency: z.enum(URGENCIES).default('high'),
    /** The node that is being drained for which it is taken; empty: for none. */
    drains: z.string().default(''),
    /** With stop: why, when its user did not ask for it. */
    cause: z.enum(['', ...STOP_CAUSES]).default(''),
  }),
  z.object({
    kind: z.literal('restart'),
    /** null: the newest committed generation when the operation starts. */
    ckptId: z.number().nullable(),
    nodes: z.array(z.string()),
    outputPath: z.string(),
    lazy: z.boolean().default(false),
    /** The coordinator's own answer to a lost node. */
    automatic: z.boolean(),
    /** Away from a drained node: nobody asked for this job, so its policy limits the plan and answers a failure. */
    drains: z.boolean().default(false),
    /** Unix time: the back-off after restarts that failed. */
    notBeforeMs: z.number().default(0),
    /** Of the run that begins; null: as before. */
    deadlineMs: z.number().nullable().default(null),
  }),
]);

const recordSchema = z.object({
  operation: z.unknown().transform((json) => Operation.fromJSON(json)),
  request: requestSchema,
  /** Everyone a command may have been sent to: whom an abort must reach. */
  nodes: z.array(z.string()),
  /** The manifest's text, from the COMMIT phase on. */
  manifest: z.string().transform(unpack).nullable(),
  /** RELEASE was entered: with `stop`, trees may have been killed. */
  hasReleased: z.boolean(),
});

export type OperationRequest = z.infer<typeof requestSchema>;
export type OperationRecord = z.infer<typeof recordSchema>;

export function isOver(record: OperationRecord): boolean {
  return record.operation.endedMs > 0;
}

/** A manifest repeats itself: packed, that of a large job costs Redis a tenth, and less time than its text would. */
async function pack(manifest: string): Promise<string> {
  return (await promisify(deflateRaw)(manifest, { level: 1 })).toString('base64');
}

function unpack(packed: string): string {
  return inflateRawSync(Buffer.from(packed, 'base64')).toString('utf8');
}

function encode({ operation, ...rest }: OperationRecord, packed: string | null): string {
  return JSON.stringify({ ...rest, manifest: packed, operation: Operation.toJSON(operation) });
}

function newsOf(record: OperationRecord): News {
  const { id, job } = record.operation;
  const text = JSON.stringify(Operation.toJSON(record.operation));
  return { kind: 'operation', subject: id, job, isOver: isOver(record), text };
}

export class OperationTable {
  readonly changed = new Signal<OperationRecord>();
  readonly #open = new Map<string, OperationRecord>();

  /** Since the last look at how many there are. */
  #endedSince = 0;

  private constructor(
    private readonly redis: Redis,
    private readonly maxEnded: number,
  ) {}

  static async load(redis: Redis, maxEnded = MAX_ENDED): Promise<OperationTable> {
    const table = new OperationTable(redis, maxEnded);
    for (const [id, json] of Object.entries(await redis.hgetall(KEYS.openOperations))) {
      table.#open.set(id, recordSchema.parse(JSON.parse(json)));
    }
    return table;
  }

  /** Not ended, oldest first (ids sort by time). */
  open(): OperationRecord[] {
    return [...this.#open.values()].sort((a, b) => (a.operation.id < b.operation.id ? -1 : 1));
  }

  openOf(job: string): OperationRecord[] {
    return this.open().filter((record) => record.operation.job === job);
  }

  /** @throws HoldfastError NOT_FOUND */
  async get(id: string): Promise<OperationRecord> {
    const open = this.#open.get(id);
    if (open !== undefined) return open;
    const json = await this.redis.get(KEYS.endedOperation(id));
    if (json === null) {
      throw new HoldfastError(
        'NOT_FOUND',
        `there is no operation ${id}`,
        `they are kept for ${ENDED_DAYS} days, the last ${MAX_ENDED} of them`,
      );
    }
    return recordSchema.parse(JSON.parse(json));
  }

  /**
   * Visible at once, durable when the promise resolves.
   * @param also what becomes durable in the same step
   */
  async put(record: OperationRecord, also?: (step: ChainableCommander) => void): Promise<OperationRecord> {
    const { id } = record.operation;
    if (isOver(record)) this.#open.delete(id);
    else this.#open.set(id, record);
    this.changed.emit(record);
    if (isOver(record)) await this.#putEnded(id, record);
    else {
      const packed = record.manifest === null ? null : await pack(record.manifest);
      const text = encode(record, packed);
      const step = tell(this.redis.multi().hset(KEYS.openOperations, id, text), newsOf(record));
      also?.(step);
      await step.exec();
    }
    return record;
  }

  async #putEnded(id: string, record: OperationRecord): Promise<void> {
    // The manifest is in the store by now, or of no use.
    const text = encode(record, null);
    const step = this.redis
      .multi()
      .set(KEYS.endedOperation(id), text, 'EX', ENDED_DAYS * 86_400)
      .hdel(KEYS.openOperations, id)
      .rpush(KEYS.endedOperations, id);
    await tell(step, newsOf(record)).exec();
    this.#endedSince++;
    if (this.#endedSince >= this.maxEnded / 100) await this.#forgetOldest();
  }

  async #forgetOldest(): Promise<void> {
    this.#endedSince = 0;
    const tooMany = (await this.redis.llen(KEYS.endedOperations)) - this.maxEnded;
    if (tooMany <= 0) return;
    const ids = await this.redis.lrange(KEYS.endedOperations, 0, tooMany - 1);
    const step = this.redis.multi().ltrim(KEYS.endedOperations, tooMany, -1);
    for (const id of ids) step.del(KEYS.endedOperation(id));
    await step.exec();
  }
}
