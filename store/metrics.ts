/** Requests to the store, counted and timed. */
import { Counter, Histogram, type Registry } from 'prom-client';
import { SHORT_SECONDS } from '../core/telemetry/buckets';
import type { StoreObserver, StoreRequest } from './observed';

const DIRECTION: Partial<Record<StoreRequest, string>> = { put: 'write', putIfAbsent: 'write', get: 'read' };

export function storeMetrics(registry: Registry): StoreObserver {
  const registers = [registry];
  const seconds = new Histogram({
    name: 'holdfast_store_request_seconds',
    help: 'Time of a request to the object store, with its retries.',
    labelNames: ['request', 'outcome'],
    buckets: SHORT_SECONDS,
    registers,
  });
  const bytes = new Counter({
    name: 'holdfast_store_bytes_total',
    help: 'Bytes of objects written to and read from the object store.',
    labelNames: ['direction'],
    registers,
  });
  return (request) => {
    const measured = seconds.startTimer({ request });
    return (error, carried) => {
      measured({ outcome: error?.code ?? 'ok' });
      const direction = DIRECTION[request];
      if (direction !== undefined) bytes.inc({ direction }, carried);
    };
  };
}
