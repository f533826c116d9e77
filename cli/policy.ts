/** Retention policies as users type them: "last=3,daily=7,end=14d", "3" for the last three, or "all". */
import { HoldfastError } from '../core/errors';
import { KEEP_ALL, RULES, type Rule } from '../core/retention';
import type { RetentionPolicy } from '../proto/gen/holdfast/v1/manifest';
import { parseCount, parseDuration, parseSize } from './values';

export const POLICY_HELP = `
A policy is a list of rules, such as last=3,daily=7,end=14d. These keep what any of them wants, and all when there is none:
  last=N            the last N; a number alone is the same
  hourly=N, daily=N, weekly=N
                    the newest of each of N hours, days or weeks (UTC) that have one
These remove from what was kept:
  age=DURATION      what is older
  size=SIZE         the oldest, until all of the job together are not larger; never the newest
  end=DURATION      everything, so long after the job has ended
"all" removes nothing. The newest stays as long as the job may need it, and what is pinned always does.`;

const PARSERS: Readonly<Record<Rule['unit'], (text: string) => number>> = {
  count: parseCount,
  ms: parseDuration,
  bytes: parseSize,
};

/** @throws HoldfastError INVALID_ARGUMENT */
export function parsePolicy(text: string): RetentionPolicy {
  if (text === 'all') return KEEP_ALL;
  const items = /^\d+$/.test(text) ? [`last=${text}`] : text.split(',');
  let policy: RetentionPolicy = KEEP_ALL;
  for (const item of items) {
    const [name, value = ''] = item.trim().split('=');
    const rule = RULES.find((known) => known.name === name);
    if (rule === undefined || policy[rule.field] !== 0) throw invalid(item, text);
    const parsed = PARSERS[rule.unit](value);
    // A rule that wants nothing, or leaves no time, is always a mistake.
    if (parsed === 0) throw invalid(item, text);
    policy = { ...policy, [rule.field]: parsed };
  }
  return policy;
}

function invalid(item: string, text: string): HoldfastError {
  const names = RULES.map(({ name }) => name).join(', ');
  return new HoldfastError(
    'INVALID_ARGUMENT',
    `"${item}" in "${text}" is not a rule of a retention policy`,
    `write rules like last=3,daily=7,end=14d, each once and above 0: ${names}; or all`,
  );
}
