/** Which objects of a job are garbage, and what a sweep does with each (G2, G3). Pure. */
export interface Found {
  readonly key: string;
  readonly sizeBytes: number;
}

/** Kept from the sweep that condemned an object to the one that deletes it. */
export interface Mark {
  readonly sinceMs: number;
  readonly cause: string;
}

export interface SweepInput {
  /** Listed before the manifests were read (G6). */
  readonly objects: readonly Found[];
  readonly isNamed: (key: string) => boolean;
  /** Prefixes of attempts on record, each with its slash. */
  readonly attempts: readonly string[];
  readonly marks: ReadonlyMap<string, Mark>;
  /** Why the object is garbage, for what is condemned now. */
  readonly causeOf: (key: string) => string;
  readonly nowMs: number;
  readonly graceMs: number;
}

export interface Condemned extends Found {
  readonly mark: Mark;
}

export interface SweepPlan {
  /** Garbage that was not marked before. */
  readonly condemn: readonly Condemned[];
  /** Marked, and its grace has not passed. */
  readonly waiting: readonly Condemned[];
  readonly remove: readonly Condemned[];
  /** Keys of marks that say nothing any more: of objects that are gone, or named after all. */
  readonly staleMarks: readonly string[];
}

export function planSweep(input: SweepInput): SweepPlan {
  const { objects, isNamed, attempts, marks, causeOf, nowMs, graceMs } = input;
  const isOwned = (key: string) => isNamed(key) || attempts.some((prefix) => key.startsWith(prefix));
  const plan = { condemn: [] as Condemned[], waiting: [] as Condemned[], remove: [] as Condemned[] };
  const stale = new Set(marks.keys());
  for (const object of objects) {
    if (isOwned(object.key)) continue;
    stale.delete(object.key);
    const mark = marks.get(object.key);
    if (mark === undefined)
      plan.condemn.push({ ...object, mark: { sinceMs: nowMs, cause: causeOf(object.key) } });
    else if (nowMs - mark.sinceMs < graceMs) plan.waiting.push({ ...object, mark });
    else plan.remove.push({ ...object, mark });
  }
  return { ...plan, staleMarks: [...stale] };
}
