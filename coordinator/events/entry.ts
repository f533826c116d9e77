/**
 * What is told of a change: an entry of one stream in Redis, written in the same step in which the change becomes durable. So nothing
 * is told that is not on record, and all that is on record is told.
 */
import { deflateRawSync, inflateRawSync } from 'node:zlib';
import type { ChainableCommander } from 'ioredis';
import { Job, Operation, type WatchResponse } from '../../proto/gen/holdfast/v1/coordinator';
import { KEYS } from '../state/keys';

export type WatchEvent = NonNullable<WatchResponse['event']>;

/** Entries that the stream keeps, about: who was away for longer than these took begins with the present state. */
export const KEPT_ENTRIES = 5_000;
/** Jobs of many nodes repeat themselves. */
const PACKED_FROM_BYTES = 4_096;

export interface Entry {
  /** Of the stream: MS-N, growing. Empty: from what is on record, no entry of its own. */
  readonly id: string;
  /** term: somebody began to lead. */
  readonly kind: 'job' | 'operation' | 'term';
  /** Of the job or the operation. */
  readonly subject: string;
  readonly job: string;
  /** Nothing more follows of it. */
  readonly isOver: boolean;
  /** JSON, possibly packed. */
  readonly text: string;
}

export type News = Omit<Entry, 'id'>;

/** Adds the entry to the step. */
export function tell(
  step: ChainableCommander,
  { kind, subject, job, isOver, text }: News,
): ChainableCommander {
  const fields = [
    'kind',
    kind,
    'subject',
    subject,
    'job',
    job,
    'over',
    isOver ? '1' : '0',
    'text',
    pack(text),
  ];
  return step.xadd(KEYS.events, 'MAXLEN', '~', KEPT_ENTRIES, '*', ...fields);
}

export function entryOf([id, words]: readonly [string, readonly string[]]): Entry {
  const value = (name: string) => words.find((_, at) => at % 2 === 1 && words[at - 1] === name) ?? '';
  return {
    ...{ id, kind: value('kind') as Entry['kind'], subject: value('subject'), job: value('job') },
    ...{ isOver: value('over') === '1', text: value('text') },
  };
}

/** null for an entry that is nobody's. */
export function eventOf({ kind, text }: Entry): WatchEvent | null {
  if (kind === 'job') return { $case: 'job', value: Job.fromJSON(JSON.parse(unpack(text))) };
  if (kind === 'operation')
    return { $case: 'operation', value: Operation.fromJSON(JSON.parse(unpack(text))) };
  return null;
}

/** Whether an id of the stream is older than another one. */
export function isOlder(a: string, b: string): boolean {
  const [aMs = 0, aNumber = 0] = a.split('-').map(Number);
  const [bMs = 0, bNumber = 0] = b.split('-').map(Number);
  return aMs === bMs ? aNumber < bNumber : aMs < bMs;
}

function pack(text: string): string {
  if (text.length < PACKED_FROM_BYTES) return text;
  return deflateRawSync(text, { level: 1 }).toString('base64');
}

function unpack(text: string): string {
  return text.startsWith('{') ? text : inflateRawSync(Buffer.from(text, 'base64')).toString('utf8');
}
