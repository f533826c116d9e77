/** What a user gave sbatch, srun or salloc as --holdfast=…; native/programs/spank_options.c checks the same. Pure. */
import { HoldfastError } from '../errors';

/** Where the plugin leaves the option's text. */
export const SLURM_OPTIONS_VARIABLE = 'HOLDFAST_SLURM_OPTIONS';

export interface SlurmOptions {
  /** Between two checkpoints; auto: as cost and failures suggest. */
  readonly every?: number | 'auto';
  /** The newest so many are kept. */
  readonly keep?: number;
  readonly maxRestarts?: number;
}

const UNIT_MS: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

const READERS: Readonly<Record<string, (value: string) => SlurmOptions | null>> = {
  interval: (value) => {
    if (value === 'auto') return { every: 'auto' };
    const match = /^(\d{1,6})([smhd])$/.exec(value);
    const every = Number(match?.[1] ?? 0) * (UNIT_MS[match?.[2] ?? ''] ?? 0);
    return every > 0 ? { every } : null;
  },
  keep: (value) => {
    const keep = count(value);
    return keep > 0 ? { keep } : null;
  },
  'max-restarts': (value) => {
    const maxRestarts = count(value);
    return maxRestarts >= 0 ? { maxRestarts } : null;
  },
};

const MAX_COUNT = 100_000;
const count = (text: string): number =>
  /^\d{1,6}$/.test(text) && Number(text) <= MAX_COUNT ? Number(text) : -1;

/**
 * @param text "interval=10m,keep=3,max-restarts=20"
 * @throws HoldfastError INVALID_ARGUMENT
 */
export function parseSlurmOptions(text: string): SlurmOptions {
  const seen = new Set<string>();
  const found = text.split(',').map((item) => {
    const at = item.indexOf('=');
    const key = item.slice(0, Math.max(at, 0));
    const read = Object.hasOwn(READERS, key) ? READERS[key] : undefined;
    const value = seen.has(key) ? null : (read?.(item.slice(at + 1)) ?? null);
    seen.add(key);
    if (value !== null) return value;
    throw new HoldfastError(
      'INVALID_ARGUMENT',
      `--holdfast: ${JSON.stringify(item)} in ${JSON.stringify(text)} is not known, not valid or given twice`,
      'write interval=10m (or auto), keep=3, max-restarts=20, each once, separated by commas',
    );
  });
  return Object.assign({}, ...found) as SlurmOptions;
}
