/**
 * Which generations of a job stay and which go, each with the reason. Pure: a dry run is this function alone. What must
 * stay (G4) comes first, then the rules that remove, then those that keep, then the size.
 */
import { formatDurationExactly, formatKeepRules, formatSizeExactly } from '../../core/retention';
import type { RetentionPolicy } from '../../proto/gen/holdfast/v1/manifest';
import { BUCKETS } from './buckets';
import { type Objects, References } from './references';

export interface Generation {
  readonly generation: number;
  readonly epoch: number;
  readonly ckptId: number;
  readonly createdMs: number;
  /** Everything its manifest names, with sizes; empty when nobody asked for it. */
  readonly objects: Objects;
}

export interface RetentionInput {
  readonly policy: RetentionPolicy;
  readonly generations: readonly Generation[];
  /** Generations that must stay, and why (holds.ts). */
  readonly holds: ReadonlyMap<number, string>;
  /** When the job ended; null: it has not. */
  readonly endedMs: number | null;
  readonly nowMs: number;
}

export interface Decision {
  readonly generation: Generation;
  readonly kept: boolean;
  readonly reason: string;
  /** Of objects that no generation names any more after it, when the oldest go first. */
  readonly freedBytes: number;
}

interface Fate {
  readonly kept: boolean;
  readonly reason: string;
}

const keep = (reason: string): Fate => ({ kept: true, reason });
const remove = (reason: string): Fate => ({ kept: false, reason });

/** Oldest first. */
export function planRetention(input: RetentionInput): Decision[] {
  const oldestFirst = [...input.generations].sort((a, b) => a.generation - b.generation);
  const wanted = wantedBy(input.policy, oldestFirst.toReversed());
  const fates = new Map(oldestFirst.map((each) => [each, fateOf(input, each, wanted)]));
  trimToSize(input, oldestFirst, fates);
  const references = new References(oldestFirst.map(({ objects }) => objects));
  return oldestFirst.map((generation) => {
    const { kept, reason } = fates.get(generation) ?? keep('');
    return { generation, kept, reason, freedBytes: kept ? 0 : references.remove(generation.objects) };
  });
}

function fateOf(
  { policy, holds, endedMs, nowMs }: RetentionInput,
  { generation, createdMs }: Generation,
  wanted: ReadonlyMap<number, string[]>,
): Fate {
  const held = holds.get(generation);
  if (held !== undefined) return keep(held);
  const { afterEndMs, maxAgeMs } = policy;
  if (afterEndMs > 0 && endedMs !== null && nowMs - endedMs >= afterEndMs)
    return remove(`the job ended more than ${formatDurationExactly(afterEndMs)} ago`);
  if (maxAgeMs > 0 && nowMs - createdMs > maxAgeMs)
    return remove(`older than ${formatDurationExactly(maxAgeMs)}`);
  const rules = formatKeepRules(policy);
  if (rules === '') return keep('no rule limits how many are kept');
  const reasons = wanted.get(generation);
  return reasons === undefined ? remove(`not wanted by ${rules}`) : keep(reasons.join('; '));
}

/** By generation: what the rules that keep say about it. */
function wantedBy(policy: RetentionPolicy, newestFirst: readonly Generation[]): Map<number, string[]> {
  const wanted = new Map<number, string[]>();
  const want = ({ generation }: Generation, reason: string) =>
    wanted.set(generation, [...(wanted.get(generation) ?? []), reason]);
  for (const [index, generation] of newestFirst.slice(0, policy.keepLast).entries())
    want(generation, `last: ${index + 1} of ${policy.keepLast}`);
  for (const { rule, field, nameOf } of BUCKETS) {
    const taken = new Set<string>();
    for (const generation of newestFirst) {
      if (taken.size >= policy[field]) break;
      const bucket = nameOf(generation.createdMs);
      if (taken.has(bucket)) continue;
      taken.add(bucket);
      want(generation, `${rule}: newest of ${bucket}, ${taken.size} of ${policy[field]}`);
    }
  }
  return wanted;
}

/** The oldest that need not stay go until the rest fits; the newest is never too large. */
function trimToSize(
  { policy: { maxBytes }, holds }: RetentionInput,
  oldestFirst: readonly Generation[],
  fates: Map<Generation, Fate>,
): void {
  if (maxBytes === 0) return;
  const kept = oldestFirst.filter((each) => fates.get(each)?.kept);
  const references = new References(kept.map(({ objects }) => objects));
  for (const generation of kept.slice(0, -1)) {
    if (references.bytes <= maxBytes) return;
    if (holds.has(generation.generation)) continue;
    references.remove(generation.objects);
    fates.set(generation, remove(`the oldest, and all together are over ${formatSizeExactly(maxBytes)}`));
  }
}
