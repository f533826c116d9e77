/** Figures out of samples. Pure. */

/** The middle sample; the mean of the middle two of an even number. Throws without samples. */
export function median(samples: readonly number[]): number {
  const sorted = [...samples].sort((a, b) => a - b);
  const upper = sorted[Math.floor(sorted.length / 2)];
  const lower = sorted[Math.ceil(sorted.length / 2) - 1];
  if (upper === undefined || lower === undefined) throw new Error('a median needs at least one sample');
  return (lower + upper) / 2;
}

/** The least sample that is not less than this part of all of them. Throws without samples. */
export function percentile(samples: readonly number[], part: number): number {
  const sorted = [...samples].sort((a, b) => a - b);
  const found = sorted[Math.max(0, Math.ceil(sorted.length * part) - 1)];
  if (found === undefined) throw new Error('a percentile needs at least one sample');
  return found;
}

export interface Spread {
  readonly median: number;
  readonly least: number;
  readonly most: number;
}

export function spread(samples: readonly number[]): Spread {
  return { median: median(samples), least: Math.min(...samples), most: Math.max(...samples) };
}

/** Figures are for people and JSON: more digits than the noise has help nobody. */
export function rounded(value: number, digits = 3): number {
  return Number(value.toPrecision(digits));
}
