/** Retention policies in words: the same ones in reasons, in what tools print and in what users type. Pure. */
import type { RetentionPolicy } from '../proto/gen/holdfast/v1/manifest';

/** Nothing is ever removed. */
export const KEEP_ALL: RetentionPolicy = {
  keepLast: 0,
  keepHourly: 0,
  keepDaily: 0,
  keepWeekly: 0,
  maxAgeMs: 0,
  maxBytes: 0,
  afterEndMs: 0,
};

export interface Rule {
  readonly name: string;
  readonly field: Exclude<keyof RetentionPolicy, '_unknownFields'>;
  readonly unit: 'count' | 'ms' | 'bytes';
}

/** In the order in which they are written. */
export const RULES: readonly Rule[] = [
  { name: 'last', field: 'keepLast', unit: 'count' },
  { name: 'hourly', field: 'keepHourly', unit: 'count' },
  { name: 'daily', field: 'keepDaily', unit: 'count' },
  { name: 'weekly', field: 'keepWeekly', unit: 'count' },
  { name: 'age', field: 'maxAgeMs', unit: 'ms' },
  { name: 'size', field: 'maxBytes', unit: 'bytes' },
  { name: 'end', field: 'afterEndMs', unit: 'ms' },
];

export function isKeepAll(policy: RetentionPolicy): boolean {
  return RULES.every(({ field }) => policy[field] === 0);
}

/** "last=3,daily=7,end=14d", or "all". */
export function formatPolicy(policy: RetentionPolicy): string {
  const rules = RULES.filter(({ field }) => policy[field] > 0);
  return rules.map((rule) => formatRule(rule, policy)).join(',') || 'all';
}

/** Those among the rules that keep, "last=3,daily=7"; empty when there is none. */
export function formatKeepRules(policy: RetentionPolicy): string {
  const rules = RULES.filter(({ field, unit }) => unit === 'count' && policy[field] > 0);
  return rules.map((rule) => formatRule(rule, policy)).join(',');
}

function formatRule({ name, field, unit }: Rule, policy: RetentionPolicy): string {
  const value = policy[field];
  if (unit === 'ms') return `${name}=${inUnits(value, TIME_UNITS)}`;
  return `${name}=${unit === 'bytes' ? inUnits(value, SIZE_UNITS) : value}`;
}

type Units = readonly (readonly [string, number])[];

const TIME_UNITS: Units = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1_000],
  ['ms', 1],
];

const SIZE_UNITS: Units = [
  ['TiB', 2 ** 40],
  ['GiB', 2 ** 30],
  ['MiB', 2 ** 20],
  ['KiB', 2 ** 10],
  ['B', 1],
];

/** In the largest unit that says it exactly. */
function inUnits(value: number, units: Units): string {
  const [unit, size] = units.find(([, size]) => value % size === 0) ?? ['', 1];
  return `${value / size}${unit}`;
}

export const formatDurationExactly = (ms: number): string => inUnits(ms, TIME_UNITS);
export const formatSizeExactly = (bytes: number): string => inUnits(bytes, SIZE_UNITS);
