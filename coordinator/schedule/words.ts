/** Times in reasons: one unit, so that they compare at a glance. */
export function seconds(ms: number): string {
  return `${rounded(ms / 1000)} s`;
}

export function hours(ms: number): string {
  return `${rounded(ms / 3_600_000)} h`;
}

function rounded(value: number): number {
  const digits = value >= 100 ? 0 : value >= 1 ? 1 : 3;
  return Number(value.toFixed(digits));
}

/** ISO 8601 in UTC, without what is always zero. */
export function moment(ms: number): string {
  return new Date(ms).toISOString().replace('.000Z', 'Z');
}
