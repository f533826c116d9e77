/** The schedules: in memory for decisions, written through to Redis. They are the truth; BullMQ only rings (queues/queues.ts). */
import type { ChainableCommander, Redis } from 'ioredis';
import { z } from 'zod';
import { KEYS } from '../state/keys';
import type { Cost } from './interval';
import { TICK_KINDS } from './plan';

/** Times are told as whole milliseconds; older records have fractions. */
const wholeMs = z.number().transform(Math.round);

const tickSchema = z.object({
  dueMs: wholeMs,
  kind: z.enum(TICK_KINDS),
  reason: z.string(),
  windowMs: z.number(),
});

const recordSchema = z.object({
  /** The incarnation that the tick is for: another one begins anew. */
  incarnation: z.number(),
  /** That it was planned for. */
  nodeCount: z.number(),
  sinceMs: z.number(),
  last: tickSchema.pick({ dueMs: true, kind: true }).nullable(),
  lastCheckpointMs: z.number(),
  /** Of the last checkpoints, newest last. */
  costs: z.array(z.object({ heldMs: z.number(), durationMs: z.number() })),
  /** null: none is to come. */
  next: tickSchema.extend({ startMs: wholeMs }).nullable(),
});

export type ScheduleRecord = z.infer<typeof recordSchema>;

export class ScheduleTable {
  readonly #records = new Map<string, ScheduleRecord>();

  private constructor(private readonly redis: Redis) {}

  static async load(redis: Redis): Promise<ScheduleTable> {
    const table = new ScheduleTable(redis);
    for (const [job, json] of Object.entries(await redis.hgetall(KEYS.schedules))) {
      table.#records.set(job, recordSchema.parse(JSON.parse(json)));
    }
    return table;
  }

  find(job: string): ScheduleRecord | undefined {
    return this.#records.get(job);
  }

  all(): readonly (readonly [string, ScheduleRecord])[] {
    return [...this.#records];
  }

  /** Visible at once; the step that is returned makes it durable, alone or with something else. */
  put(job: string, record: ScheduleRecord): (step: ChainableCommander) => void {
    this.#records.set(job, record);
    const json = JSON.stringify(record);
    return (step) => {
      step.hset(KEYS.schedules, job, json);
    };
  }

  /** As put(), and durable when the promise resolves. */
  async save(job: string, record: ScheduleRecord): Promise<void> {
    const step = this.redis.multi();
    this.put(job, record)(step);
    await step.exec();
  }

  async remove(job: string): Promise<void> {
    if (this.#records.delete(job)) await this.redis.hdel(KEYS.schedules, job);
  }
}

const KEPT_COSTS = 5;

export function withCost(costs: readonly Cost[], cost: Cost): Cost[] {
  return [...costs, { heldMs: cost.heldMs, durationMs: cost.durationMs }].slice(-KEPT_COSTS);
}

/** The mean of what was measured, in whole milliseconds, as the times that follow from it are told; null: nothing was. */
export function meanCost(costs: readonly Cost[]): Cost | null {
  if (costs.length === 0) return null;
  const mean = (value: (cost: Cost) => number) =>
    Math.round(costs.reduce((sum, cost) => sum + value(cost), 0) / costs.length);
  return { heldMs: mean((cost) => cost.heldMs), durationMs: mean((cost) => cost.durationMs) };
}
