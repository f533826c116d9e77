/** OpenTelemetry traces: active only when the standard variables name a collector. */
import { setTimeout as delay } from 'node:timers/promises';
import { context, DiagLogLevel, diag, type Tracer, trace } from '@opentelemetry/api';
import type * as ContextHooks from '@opentelemetry/context-async-hooks';
import type * as Otlp from '@opentelemetry/exporter-trace-otlp-http';
import type * as Resources from '@opentelemetry/resources';
import type * as Sdk from '@opentelemetry/sdk-trace-base';
import type { Logger } from '../log';
import { VERSION } from '../version';

export interface Tracing {
  readonly tracer: Tracer;
  /** Sends what is left. */
  close(): Promise<void>;
}

const SCOPE = 'holdfast';
/** A collector that does not answer must not keep a daemon from stopping. */
const FLUSH_MS = 2_000;

export function isTraced(environment: NodeJS.ProcessEnv): boolean {
  const { OTEL_EXPORTER_OTLP_ENDPOINT: all, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: traces } = environment;
  return Boolean(all || traces) && environment.OTEL_SDK_DISABLED !== 'true';
}

/**
 * @param service as the traces call it; OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES win
 * @param instance node or host
 */
export function openTracing(service: string, instance: string, log: Logger): Tracing {
  if (!isTraced(process.env)) return noTracing;
  const { OTLPTraceExporter } = require('@opentelemetry/exporter-trace-otlp-http') as typeof Otlp;
  const { BatchSpanProcessor } = require('@opentelemetry/sdk-trace-base') as typeof Sdk;
  // Only that spans were not sent: what the library says beyond that is for its own developers.
  const warn = (message: string) => log.warn({ reason: message }, 'traces');
  const silent = () => {};
  diag.setLogger(
    { error: warn, warn: silent, info: silent, debug: silent, verbose: silent },
    { logLevel: DiagLogLevel.ERROR, suppressOverrideMessage: true },
  );
  return tracingWith(service, instance, new BatchSpanProcessor(new OTLPTraceExporter()));
}

/** Every span goes to the processor. */
export function tracingWith(service: string, instance: string, processor: Sdk.SpanProcessor): Tracing {
  const { AsyncLocalStorageContextManager } =
    require('@opentelemetry/context-async-hooks') as typeof ContextHooks;
  const { detectResources, envDetector, resourceFromAttributes } =
    require('@opentelemetry/resources') as typeof Resources;
  const { BasicTracerProvider } = require('@opentelemetry/sdk-trace-base') as typeof Sdk;
  // One for the process: what is awaited knows which span it works for. A second one is refused, and not needed.
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  const own = resourceFromAttributes({
    'service.name': service,
    'service.version': VERSION,
    'service.instance.id': instance,
  });
  const resource = own.merge(detectResources({ detectors: [envDetector] }));
  const provider = new BasicTracerProvider({ resource, spanProcessors: [processor] });
  return {
    tracer: provider.getTracer(SCOPE, VERSION),
    close: () => Promise.race([provider.shutdown(), delay(FLUSH_MS, undefined, { ref: false })]),
  };
}

/** Its spans are not recorded and have no identity. */
export const noTracing: Tracing = { tracer: trace.getTracer(SCOPE), close: async () => {} };
