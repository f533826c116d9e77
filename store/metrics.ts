/** Requests to the store, counted and timed. */
import { SHORT_SECONDS } from '../core/telemetry/buckets';
import type { Meters } from '../core/telemetry/meters';
import type { StoreObserver, StoreRequest } from './observed';

const DIRECTION: Partial<Record<StoreRequest, string>> = { put: 'write', putIfAbsent: 'write', get: 'read' };

export function storeMetrics(meters: Meters): StoreObserver {
  const seconds = meters.histogram(
    'holdfast_store_request_seconds',
    'Time of a request to the object store, with its retries.',
    SHORT_SECONDS,
    ['request', 'outcome'],
  );
  const bytes = meters.counter(
    'holdfast_store_bytes_total',
    'Bytes of objects written to and read from the object store.',
    ['direction'],
  );
  return (request) => {
    const measured = seconds.startTimer({ request });
    return (error, carried) => {
      measured({ outcome: error?.code ?? 'ok' });
      const direction = DIRECTION[request];
      if (direction !== undefined) bytes.inc({ direction }, carried);
    };
  };
}
