/**
 * Removing what an attempt wrote that was not committed. The coordinator does it itself: it needs no node, and no node
 * is then trusted with deleting. What cannot be removed now is remembered and tried again; so is what a node may still
 * write that has not answered Abort.
 */
import { z } from 'zod';
import type { Context } from '../context';
import { KEYS } from '../state/keys';
import { TIMEOUTS_MS } from '../timeouts';

const PARALLEL = 8;

const leftoverSchema = z.object({ job: z.string(), unanswered: z.array(z.string()) });

export interface Leftover {
  /** Of one generation and epoch (C2), so nothing committed is under it. */
  readonly prefix: string;
  readonly job: string;
  /** Nodes that have not confirmed Abort. */
  readonly unanswered: readonly string[];
}

/** Under the job's lock. */
export async function discard(context: Context, { prefix, job, unanswered }: Leftover): Promise<void> {
  const { store, redis, log } = context;
  try {
    await redis.hset(KEYS.discards, prefix, JSON.stringify({ job, unanswered }));
    await deleteAll(store, `${prefix}/`);
    if (unanswered.length === 0) await redis.hdel(KEYS.discards, prefix);
  } catch (thrown) {
    log.warn({ prefix, err: thrown }, 'objects of an aborted checkpoint stay for now');
  }
}

/** At start: what earlier attempts left behind. */
export async function discardLeftovers(context: Context): Promise<void> {
  for (const { prefix, job } of await leftovers(context)) {
    await context.locks.run(job, async () => {
      const left = await find(context, prefix);
      if (left !== null) await discard(context, left);
    });
  }
}

/** A node is back: when it confirms now that it writes no more, what it wrote meanwhile goes for good. */
export async function discardOf(context: Context, node: string): Promise<void> {
  for (const { prefix, job, unanswered } of await leftovers(context)) {
    if (!unanswered.includes(node)) continue;
    // Nothing of the job is in flight under its lock that an Abort could meet.
    await context.locks.run(job, async () => {
      const left = await find(context, prefix);
      if (left === null) return;
      await confirmAbort(context, job, node);
      await discard(context, { ...left, unanswered: left.unanswered.filter((other) => other !== node) });
    });
  }
}

async function confirmAbort({ counters, fleet }: Context, job: string, node: string): Promise<void> {
  const scope = { job, generation: 0, epoch: await counters.currentEpoch(job) };
  const value = { reason: 'its checkpoint was aborted while this node could not be reached' };
  await fleet.command(node, { $case: 'abort', value }, scope, { timeoutMs: TIMEOUTS_MS.abort });
}

async function leftovers({ redis }: Context): Promise<Leftover[]> {
  const all = Object.entries(await redis.hgetall(KEYS.discards));
  return all.map(([prefix, json]) => decode(prefix, json));
}

async function find({ redis }: Context, prefix: string): Promise<Leftover | null> {
  const json = await redis.hget(KEYS.discards, prefix);
  return json === null ? null : decode(prefix, json);
}

function decode(prefix: string, json: string): Leftover {
  return { prefix, ...leftoverSchema.parse(JSON.parse(json)) };
}

/** Everything below the prefix. */
export async function deleteAll(store: Context['store'], prefix: string): Promise<void> {
  const keys = store.list(prefix)[Symbol.asyncIterator]();
  const worker = async () => {
    for (;;) {
      const { done, value } = await keys.next();
      if (done === true) return;
      await store.delete(value.key);
    }
  };
  // Async generators queue concurrent next() calls, so the workers share one listing.
  await Promise.all(Array.from({ length: PARALLEL }, worker));
}
