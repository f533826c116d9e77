/** What Slurm says of its nodes, and what follows for ours. Pure. */

export interface SlurmNode {
  readonly name: string;
  readonly isDrained: boolean;
  /** Why, in the words of who drained it. */
  readonly reason: string;
}

/** What is drained because Slurm says so: only that is opened again when Slurm does. */
export const SLURM_REASON = 'Slurm: ';

/** @param text of `scontrol show node --oneliner` */
export function parseNodes(text: string): SlurmNode[] {
  return text.split('\n').flatMap((line) => {
    const name = /^NodeName=(\S+)/.exec(line)?.[1];
    if (name === undefined) return [];
    const states = (/\sState=(\S+)/.exec(line)?.[1] ?? '').split('+');
    const reason = /\sReason=(.*?)(?: \[[^\]]*\])?\s*$/.exec(line)?.[1] ?? '';
    return [{ name, isDrained: states.some((state) => /^DRAIN/.test(state)), reason }];
  });
}

export interface DrainChanges {
  readonly drain: readonly { readonly node: string; readonly reason: string }[];
  readonly undrain: readonly string[];
}

/**
 * @param known names of our nodes
 * @param drains reasons of our drained nodes, by name
 */
export function drainChanges(
  slurm: readonly SlurmNode[],
  known: ReadonlySet<string>,
  drains: ReadonlyMap<string, string>,
): DrainChanges {
  const ours = slurm.filter(({ name }) => known.has(name));
  return {
    drain: ours
      .filter(({ name, isDrained }) => isDrained && !drains.has(name))
      .map(({ name, reason }) => ({ node: name, reason: `${SLURM_REASON}${reason || 'drained'}` })),
    undrain: ours
      .filter(({ name, isDrained }) => !isDrained && drains.get(name)?.startsWith(SLURM_REASON))
      .map(({ name }) => name),
  };
}
