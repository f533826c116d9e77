/** Retention and garbage, for people and for scripts. */
import { formatPolicy } from '../../core/retention';
import type {
  AccountUsage,
  Garbage,
  JobCollection,
  JobUsage,
  RetentionDecision,
  UserUsage,
} from '../../proto/gen/holdfast/v1/coordinator';
import type { RetentionPolicy } from '../../proto/gen/holdfast/v1/manifest';
import { formatCount, formatSize, formatTime } from './format';
import { type Column, layOut } from './table';
import { paint, print, printable } from './terminal';

export function printDecisions(decisions: readonly RetentionDecision[], indent = ''): void {
  const columns: Column<RetentionDecision>[] = [
    { title: 'CKPT', cell: ({ ckptId }) => ckptId, align: 'right' },
    { title: 'GEN', cell: ({ generation }) => generation, align: 'right' },
    { title: 'CREATED', cell: ({ createdMs }) => formatTime(createdMs) },
    { title: 'FATE', cell: ({ kept }) => (kept ? 'keep' : 'remove') },
    { title: 'FREES', cell: ({ kept, freedBytes }) => (kept ? '' : formatSize(freedBytes)), align: 'right' },
    { title: 'REASON', cell: ({ reason }) => reason },
  ];
  for (const line of layOut(columns, decisions)) print(`${indent}${line}`);
}

function printGarbage(garbage: readonly Garbage[], indent: string): void {
  const columns: Column<Garbage>[] = [
    { title: 'GARBAGE', cell: ({ prefix }) => prefix },
    { title: 'OBJECTS', cell: ({ objectCount }) => objectCount, align: 'right' },
    { title: 'SIZE', cell: ({ bytes }) => formatSize(bytes), align: 'right' },
    { title: 'FATE', cell: fateOf },
    { title: 'REASON', cell: ({ cause }) => cause },
  ];
  for (const line of layOut(columns, garbage)) print(`${indent}${line}`);
}

function fateOf({ deleted, deleteAfterMs }: Garbage): string {
  return deleted ? 'delete' : `wait until ${formatTime(deleteAfterMs)}`;
}

export function printCollection(collection: JobCollection, dryRun: boolean): void {
  const { job, skipped, decisions, garbage, damage, usage } = collection;
  print(
    paint('bold', `job ${job}: ${skipped === '' ? totals(collection, dryRun) : `left alone: ${skipped}`}`),
  );
  for (const sentence of damage) print(paint('red', `  damaged: ${printable(sentence)}`));
  if (decisions.length > 0) printDecisions(decisions, '  ');
  if (garbage.length > 0) printGarbage(garbage, '  ');
  if (usage) print(`  stored: ${formatSize(usage.storedBytes)}, ${formatSize(usage.liveBytes)} of it live`);
}

function totals({ decisions, garbage }: JobCollection, dryRun: boolean): string {
  const removed = decisions.filter(({ kept }) => !kept).length;
  const bytes = garbage.filter(({ deleted }) => deleted).reduce((sum, each) => sum + each.bytes, 0);
  const [remove, erase] = dryRun ? ['to remove', 'to delete'] : ['removed', 'deleted'];
  return `${removed} of ${formatCount(decisions.length, 'generation')} ${remove}, ${formatSize(bytes)} ${erase}`;
}

export function policyText(policy: RetentionPolicy | undefined, isDefault: boolean): string {
  return `${policy ? formatPolicy(policy) : 'all'}${isDefault ? " (the coordinator's default)" : ''}`;
}

export function viewPolicy(policy: RetentionPolicy | undefined) {
  if (policy === undefined) return null;
  const { _unknownFields, ...fields } = policy;
  return { ...fields, text: formatPolicy(policy) };
}

export function viewDecision({ _unknownFields, ...fields }: RetentionDecision) {
  return fields;
}

export function viewJobUsage({ _unknownFields, job, uid, ...fields }: JobUsage) {
  return { job, uid: uid ?? null, ...fields };
}

/** Of a user or an account. */
export function viewTotals<T extends UserUsage | AccountUsage>({ _unknownFields, ...fields }: T) {
  return fields;
}

export function viewCollection({ job, skipped, decisions, garbage, usage, damage }: JobCollection) {
  return {
    job,
    skipped,
    decisions: decisions.map(viewDecision),
    garbage: garbage.map(({ _unknownFields, ...fields }) => fields),
    damage,
    usage: usage ? viewJobUsage(usage) : null,
  };
}
