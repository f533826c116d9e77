/**
 * Imports in flight, durable before anything is written: a coordinator that comes back takes away what an interrupted one
 * left, or brings one that was about to be committed to its end (as checkpoints, C3).
 */
import { z } from 'zod';
import type { Context } from '../context';
import { KEYS } from '../state/keys';

const recordSchema = z.object({
  job: z.string(),
  generation: z.number(),
  epoch: z.number(),
  /** Where it came from, in words. */
  origin: z.string(),
  /** The manifest's text once everything it names is durable; null before. */
  manifest: z.string().nullable(),
});

export type ImportRecord = z.infer<typeof recordSchema>;

type Redis = Pick<Context, 'redis'>;

export async function putImport({ redis }: Redis, prefix: string, record: ImportRecord): Promise<void> {
  await redis.hset(KEYS.imports, prefix, JSON.stringify(record));
}

export async function dropImport({ redis }: Redis, prefix: string): Promise<void> {
  await redis.hdel(KEYS.imports, prefix);
}

export async function openImports({ redis }: Redis): Promise<[prefix: string, ImportRecord][]> {
  const all = Object.entries(await redis.hgetall(KEYS.imports));
  return all.map(([prefix, json]) => [prefix, recordSchema.parse(JSON.parse(json))]);
}
