/** A site's Slurm configuration, from `scontrol show config` or from slurm.conf. Pure. */

/** By name in lower case; Slurm ignores case. Of a list of lines with one name (Prolog[0], or said twice): all, by commas. */
export type SlurmConfiguration = ReadonlyMap<string, string>;

const LINE = /^\s*([A-Za-z]\w*)(?:\[\d+\])?\s*=\s*(.*?)\s*$/;
const NOTHING = new Set(['(null)', 'n/a', 'none', '']);
/** Lines of these say more than one thing. */
const LISTS = /^(NodeName|PartitionName|DownNodes|NodeSet|FrontendName)\s*=/i;

export function parseConfiguration(text: string): SlurmConfiguration {
  const found = new Map<string, string>();
  for (const line of text.split('\n')) {
    const said = line.replace(/(^|[^\\])#.*$/, '$1');
    const match = LISTS.test(said.trim()) ? null : LINE.exec(said);
    if (match === null) continue;
    const [, name = '', value = ''] = match;
    if (NOTHING.has(value.toLowerCase())) continue;
    const key = name.toLowerCase();
    const before = found.get(key);
    found.set(key, before === undefined ? value : `${before},${value}`);
  }
  return found;
}

export const settingOf = (configuration: SlurmConfiguration, name: string): string =>
  configuration.get(name.toLowerCase()) ?? '';

/** "120 sec" → 120; null: not a number. */
export function secondsOf(text: string): number | null {
  const match = /^(\d+)(?:\s*sec)?$/.exec(text);
  return match === null ? null : Number(match[1]);
}
