/** What sweeps have condemned, per job. Losing it only postpones: the grace begins anew. */
import type { Redis } from 'ioredis';
import { z } from 'zod';
import { KEYS } from '../state/keys';
import type { Condemned, Mark } from './sweep';

const markSchema = z.object({ sinceMs: z.number(), cause: z.string() });

/** By object key. */
export async function marksOf(redis: Redis, job: string): Promise<Map<string, Mark>> {
  const all = Object.entries(await redis.hgetall(KEYS.condemned(job)));
  return new Map(all.map(([key, json]) => [key, markSchema.parse(JSON.parse(json))]));
}

export async function mark(redis: Redis, job: string, condemned: readonly Condemned[]): Promise<void> {
  if (condemned.length === 0) return;
  const fields = condemned.map(({ key, mark }): [string, string] => [key, JSON.stringify(mark)]);
  await redis.hset(KEYS.condemned(job), Object.fromEntries(fields));
}

export async function unmark(redis: Redis, job: string, keys: readonly string[]): Promise<void> {
  if (keys.length > 0) await redis.hdel(KEYS.condemned(job), ...keys);
}
