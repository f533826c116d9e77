/** What retention and sweeps did: generations removed, garbage condemned and deleted. */
import { LONG_SECONDS } from '../../core/telemetry/buckets';
import type { Meters } from '../../core/telemetry/meters';
import type { Context } from '../context';
import { observe } from './observe';

/** The result are the subscriptions. */
export function observeRetention(
  { collecting, log }: Pick<Context, 'collecting' | 'log'>,
  meters: Meters,
): (() => void)[] {
  const removed = meters.counter(
    'holdfast_generations_removed_total',
    'Generations that were removed, by who wanted it: their policy, or somebody who asked.',
    ['cause'],
  );
  const condemned = meters.counter(
    'holdfast_garbage_condemned_bytes_total',
    'Bytes of objects that were found to be garbage and wait for their deletion from then on.',
  );
  const objects = meters.counter('holdfast_garbage_deleted_objects_total', 'Objects of garbage deleted.');
  const bytes = meters.counter(
    'holdfast_garbage_deleted_bytes_total',
    'Bytes that deleted garbage gave back to the store.',
  );
  const sweeps = meters.counter(
    'holdfast_sweeps_total',
    'Sweeps of a job, by outcome: ok, skipped (it was busy, or something was in doubt) or failed.',
    ['outcome'],
  );
  const seconds = meters.histogram('holdfast_sweep_seconds', 'Time of a sweep of a job.', LONG_SECONDS);
  for (const cause of ['policy', 'request'] as const) removed.inc({ cause }, 0);
  for (const outcome of ['ok', 'skipped', 'failed']) sweeps.inc({ outcome }, 0);
  return [
    observe(collecting.removed, log, ({ cause }) => removed.inc({ cause })),
    observe(collecting.condemned, log, (found) => condemned.inc(found.bytes)),
    observe(collecting.deleted, log, (found) => {
      objects.inc(found.objects);
      bytes.inc(found.bytes);
    }),
    observe(collecting.swept, log, ({ outcome, ms }) => {
      sweeps.inc({ outcome });
      seconds.observe(ms / 1000);
    }),
  ];
}
