/** Parsers of what users type: durations, sizes, addresses, signals. Each throws INVALID_ARGUMENT. */

import { constants } from 'node:os';
import { resolve } from 'node:path';
import { type AccountQuota, ANY_ACCOUNT, isAccount } from '../core/accounts';
import { HoldfastError } from '../core/errors';

const DURATION_MS = new Map([
  ['ms', 1],
  ['s', 1000],
  ['m', 60_000],
  ['min', 60_000],
  ['h', 3_600_000],
  ['d', 86_400_000],
]);

const SIZE_BYTES = new Map([
  ['B', 1],
  ['K', 1024],
  ['KiB', 1024],
  ['M', 1024 ** 2],
  ['MiB', 1024 ** 2],
  ['G', 1024 ** 3],
  ['GiB', 1024 ** 3],
  ['T', 1024 ** 4],
  ['TiB', 1024 ** 4],
  ['kB', 1000],
  ['KB', 1000],
  ['MB', 1000 ** 2],
  ['GB', 1000 ** 3],
  ['TB', 1000 ** 4],
]);

function invalid(what: string, text: string, remedy: string): HoldfastError {
  return new HoldfastError('INVALID_ARGUMENT', `"${text}" is not ${what}`, remedy);
}

/** "10s", "500ms", "1h30m" or plain seconds ("10", "0.5") as milliseconds. */
export function parseDuration(text: string): number {
  const fail = () => invalid('a duration', text, 'write a number with a unit: 500ms, 10s, 5m, 2h, 1h30m');
  if (/^\d+(\.\d+)?$/.test(text)) return Math.round(Number(text) * 1000);
  if (!/^(\d+(\.\d+)?[a-z]+)+$/.test(text)) throw fail();
  let totalMs = 0;
  for (const [, count, unit] of text.matchAll(/(\d+(?:\.\d+)?)([a-z]+)/g)) {
    const unitMs = DURATION_MS.get(unit ?? '');
    if (unitMs === undefined) throw fail();
    totalMs += Number(count) * unitMs;
  }
  return Math.round(totalMs);
}

/** A moment as Unix time: ISO 8601 (local time without a zone), or Unix seconds as batch systems tell them. */
export function parseMoment(text: string): number {
  const ms = /^\d{9,11}$/.test(text) ? Number(text) * 1000 : Date.parse(text);
  if (/^\d{4}-\d\d-\d\dT|^\d{9,11}$/.test(text) && Number.isFinite(ms)) return ms;
  throw invalid('a moment', text, 'write 2030-12-31T18:00, 2030-12-31T18:00:00Z or Unix seconds');
}

/** A duration, or "auto". */
export function parseEvery(text: string): number | 'auto' {
  return text === 'auto' ? 'auto' : parseInterval(text);
}

/** A duration that must be longer than nothing. */
export function parseInterval(text: string): number {
  const ms = parseDuration(text);
  if (ms === 0) throw invalid('an interval', text, 'an interval is at least 1ms; 10s or more is sensible');
  return ms;
}

/** "256MiB", "1G" (binary), "1GB" (decimal) or plain bytes as bytes. */
export function parseSize(text: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*([A-Za-z]*)$/.exec(text);
  const unitBytes = SIZE_BYTES.get(match?.[2] || 'B');
  if (!match || unitBytes === undefined) {
    throw invalid('a size', text, 'write a number with a unit: 256MiB, 1GiB, 1GB');
  }
  return Math.round(Number(match[1]) * unitBytes);
}

/** "physics=1TiB", or "*=100GiB" for each account that is not named; may be given again. */
export function collectQuotas(text: string, previous: readonly AccountQuota[] = []): AccountQuota[] {
  const [, account = '', size = ''] = /^([^=]+)=(.+)$/.exec(text) ?? [];
  if (account !== ANY_ACCOUNT && !isAccount(account))
    throw invalid('a quota of an account', text, 'write ACCOUNT=SIZE: physics=1TiB; *=SIZE for all others');
  return [...previous, { account, bytes: parseSize(size) }];
}

export function parseCount(text: string): number {
  const count = Number(text);
  if (!/^\d+$/.test(text) || count > 1_000_000) {
    throw invalid('a count', text, 'write a whole number from 0 to 1000000');
  }
  return count;
}

/** The id of a checkpoint, as `holdfast checkpoints` shows it. */
export function parseCheckpointId(text: string): number {
  const id = Number(text);
  if (/^[1-9]\d*$/.test(text) && Number.isSafeInteger(id)) return id;
  throw invalid('the id of a checkpoint', text, 'write a number; see `holdfast checkpoints`');
}

/** "HOST:PORT" or "[IPv6]:PORT", returned unchanged when it is well-formed. Port 0 lets the kernel choose. */
export function parseHostPort(text: string): string {
  const match = /^(\[[0-9A-Fa-f:.%]+\]|[^:\s[\]]+):(\d{1,5})$/.exec(text);
  if (!match || Number(match[2]) > 65_535) {
    throw invalid('an address', text, 'write HOST:PORT or [IPV6]:PORT, with a port up to 65535');
  }
  return text;
}

/** "HOST:PORT,HOST:PORT" as a list. */
export function parseHostPorts(text: string): string[] {
  return parseNames(text).map(parseHostPort);
}

/** "a,b" as ['a', 'b']; an empty or a repeated name is an error. */
export function parseNames(text: string): string[] {
  const names = text.split(',').map((name) => name.trim());
  if (names.some((name) => name === '')) throw invalid('a list of names', text, 'write names like a,b,c');
  if (new Set(names).size !== names.length) throw invalid('a list of different names', text, '');
  return names;
}

/** "TERM", "SIGTERM" or "15" as a signal number. */
export function parseSignal(text: string): number {
  const name = text.toUpperCase().replace(/^(SIG)?/, 'SIG');
  const byName = Object.entries(constants.signals).find(([signal]) => signal === name)?.[1];
  const number = /^\d+$/.test(text) ? Number(text) : byName;
  if (number === undefined || number < 1 || number > 64) {
    throw invalid('a signal', text, 'write a name like TERM or a number from 1 to 64; see kill -l');
  }
  return number;
}

/** A path as an absolute one: daemons do not stay where they were started. */
export function parsePath(text: string): string {
  if (text === '') throw invalid('a path', text, '');
  return resolve(text);
}

export function collectPaths(text: string, previous: string[] = []): string[] {
  return [...previous, parsePath(text)];
}

/** Commander's collector for an option that may be given several times. */
export function collect(value: string, previous: string[] = []): string[] {
  return [...previous, value];
}

/** Throws unless the text is one of the choices. */
export function parseChoice<T extends string>(choices: readonly T[]): (text: string) => T {
  return (text) => {
    const choice = choices.find((candidate) => candidate === text);
    if (choice === undefined) throw invalid(`one of ${choices.join(', ')}`, text, '');
    return choice;
  };
}
