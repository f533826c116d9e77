/** The trace that is at work, as other processes and the log are told of it. */
import { type Context, context, ROOT_CONTEXT, type Span, trace } from '@opentelemetry/api';
import { W3CTraceContextPropagator } from '@opentelemetry/core';

const propagator = new W3CTraceContextPropagator();
const HEADER = 'traceparent';

/** Empty when nothing is traced. */
export function traceParentOf(span: Span): string {
  const carrier: Record<string, string> = {};
  const set = (target: Record<string, string>, key: string, value: string) => {
    target[key] = value;
  };
  propagator.inject(trace.setSpan(ROOT_CONTEXT, span), carrier, { set });
  return carrier[HEADER] ?? '';
}

/** What is not a valid traceparent starts a trace of its own. */
export function contextOf(traceParent: string): Context {
  const get = (carrier: Record<string, string>, key: string) => carrier[key];
  const keys = (carrier: Record<string, string>) => Object.keys(carrier);
  return propagator.extract(ROOT_CONTEXT, { [HEADER]: traceParent }, { get, keys });
}

/** For the log: where the line is found in the trace. */
export function activeTrace(): { traceId?: string; spanId?: string } {
  const span = trace.getSpan(context.active());
  if (span === undefined) return {};
  const { traceId, spanId } = span.spanContext();
  return { traceId, spanId };
}
