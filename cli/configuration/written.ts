/** A setting's value as the file and the flags take it. Pure. */
import type { AccountQuota } from '../../core/accounts';
import { formatPolicy } from '../../core/retention';
import { withoutSecrets } from '../../core/secrets';
import type { RetentionPolicy } from '../../proto/gen/holdfast/v1/manifest';

const DURATIONS = [
  [86_400_000, 'd'],
  [3_600_000, 'h'],
  [60_000, 'm'],
  [1000, 's'],
  [1, 'ms'],
] as const;

const SIZES = [
  [1024 ** 4, 'TiB'],
  [1024 ** 3, 'GiB'],
  [1024 ** 2, 'MiB'],
  [1024, 'KiB'],
  [1, 'B'],
] as const;

/** @param field whose last word is the unit. Passwords are left out; what is not set is empty */
export function asWritten(field: string, value: unknown): string {
  if (value === undefined) return '';
  if (Array.isArray(value)) return value.map((item) => asWritten(field, item)).join(', ');
  if (field === 'accountQuotas') {
    const { account, bytes } = value as AccountQuota;
    return `${account}=${inUnits(bytes, SIZES)}`;
  }
  if (field === 'retention') return formatPolicy(value as RetentionPolicy);
  if (typeof value !== 'number') return withoutSecrets(String(value));
  if (field.endsWith('Ms')) return inUnits(value, DURATIONS);
  if (/Bytes(PerS)?$/.test(field)) return inUnits(value, SIZES);
  return String(value);
}

/** In the largest unit that leaves no rest. */
function inUnits(value: number, units: readonly (readonly [number, string])[]): string {
  const [size, unit] = units.find(([one]) => value > 0 && value % one === 0) ?? [1, units.at(-1)?.[1] ?? ''];
  return `${value / size}${unit}`;
}
