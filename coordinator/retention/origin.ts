/** Who wrote an object that nobody names, from its key (C2): a generation that is removed, or an attempt that was never committed. Pure. */
export interface Known {
  /** Epochs by generation, of those that existed when the sweep began. */
  readonly epochs: ReadonlyMap<number, number>;
  /** The largest number that was ever committed. */
  readonly newest: number;
}

export function originOf(key: string, { epochs, newest }: Known): string {
  const [, generation, epoch] = /^jobs\/[^/]+\/data\/([0-9]+)-([0-9]+)\//.exec(key)?.map(Number) ?? [];
  if (generation === undefined || epoch === undefined) return 'nothing of Holdfast is written there';
  const committedEpoch = epochs.get(generation);
  const isOther = committedEpoch !== undefined && committedEpoch !== epoch;
  if (isOther || generation > newest)
    return `half-written: an attempt at generation ${generation} that was not committed left it`;
  if (committedEpoch === epoch) return `generation ${generation} wrote it, and none that stays names it`;
  return `generation ${generation}, which was removed, wrote it, and none that stays names it`;
}
