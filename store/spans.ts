/** Requests to the store as spans of whatever is at work. */
import { context, SpanKind, SpanStatusCode, type Tracer, trace } from '@opentelemetry/api';
import type { StoreObserver } from './observed';

const unseen = () => {};

export function storeSpans(tracer: Tracer): StoreObserver {
  return (request, key) => {
    // What belongs to no operation would be a trace of its own for every request.
    if (trace.getSpan(context.active()) === undefined) return unseen;
    const span = tracer.startSpan(`store ${request}`, {
      kind: SpanKind.CLIENT,
      attributes: { 'holdfast.store.key': key },
    });
    return (error, bytes) => {
      span.setAttribute('holdfast.store.bytes', bytes);
      if (error !== null) span.setStatus({ code: SpanStatusCode.ERROR, message: error.code });
      span.end();
    };
  };
}
