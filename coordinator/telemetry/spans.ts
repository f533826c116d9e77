/**
 * One trace for each operation: a span for the operation, below it one for each phase, below those one for each command to
 * a node. The command carries its span to the agent, whose own spans follow it.
 */
import {
  type Context as Parent,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  SpanStatusCode,
  type Tracer,
  trace,
} from '@opentelemetry/api';
import { attempt } from '../../core/telemetry/attempt';
import { traceParentOf } from '../../core/telemetry/context';
import type { Operation } from '../../proto/gen/holdfast/v1/coordinator';
import type { Context } from '../context';
import { outcomeCode } from '../sessions/commands';
import type { Commanding } from '../sessions/fleet';
import { isOver, type OperationRecord } from '../state/operations';
import { kindOf } from './kind';
import { observe } from './observe';

interface Traced {
  readonly root: Span;
  phase: string;
  span: Span;
}

/** The result ends it. */
export function connectSpans(
  { fleet, log, operations }: Pick<Context, 'fleet' | 'log' | 'operations'>,
  tracer: Tracer,
): () => void {
  const spans = new OperationSpans(tracer);
  const subscriptions = [
    observe(operations.changed, log, (record) => spans.follow(record)),
    observe(fleet.commanding, log, (commanding) => spans.command(commanding)),
  ];
  return () => {
    for (const unsubscribe of subscriptions) unsubscribe();
  };
}

class OperationSpans {
  readonly #byId = new Map<string, Traced>();
  /** Commands know their operation by this. */
  readonly #byEpoch = new Map<string, Traced>();

  constructor(private readonly tracer: Tracer) {}

  follow(record: OperationRecord): void {
    const { operation } = record;
    const { id, phase } = operation;
    const traced = this.#byId.get(id) ?? this.#begin(operation);
    if (traced.phase !== phase) {
      traced.span.end();
      traced.phase = phase;
      // The last phase takes no time.
      if (!isOver(record)) traced.span = this.#phase(traced.root, operation);
    }
    traced.root.setAttributes(attributesOf(operation));
    if (operation.epoch > 0) this.#byEpoch.set(epochKey(operation), traced);
    if (isOver(record)) this.#end(traced, operation);
  }

  command({ node, command, outcome }: Commanding): void {
    // What belongs to no operation (a launch, a signal) would be a trace of one span.
    const traced = this.#byEpoch.get(epochKey(command));
    if (traced === undefined) return;
    const { job, generation, epoch, body } = command;
    const span = this.tracer.startSpan(
      `${body?.$case} ${node}`,
      {
        kind: SpanKind.CLIENT,
        attributes: { ...attributesOf({ job, generation, epoch }), 'holdfast.node': node },
      },
      below(traced.span),
    );
    command.traceParent = traceParentOf(span);
    outcome.then((result) => attempt(() => end(span, outcomeCode(result))));
  }

  #begin(operation: Operation): Traced {
    const { id, phase, startedMs } = operation;
    const attributes = { ...attributesOf(operation), 'holdfast.operation': id };
    const root = this.tracer.startSpan(kindOf(operation), { startTime: startedMs, attributes }, ROOT_CONTEXT);
    const traced = { root, phase, span: this.#phase(root, operation) };
    this.#byId.set(id, traced);
    return traced;
  }

  #phase(root: Span, operation: Operation): Span {
    return this.tracer.startSpan(operation.phase, { attributes: attributesOf(operation) }, below(root));
  }

  #end({ root, span }: Traced, operation: Operation): void {
    this.#byId.delete(operation.id);
    this.#byEpoch.delete(epochKey(operation));
    const { error, summary } = operation;
    if (summary !== undefined) {
      root.setAttributes({
        'holdfast.checkpoint': summary.ckptId,
        'holdfast.hold_ms': summary.heldMs,
        'holdfast.uploaded_bytes': summary.uploadedBytes,
      });
    }
    if (span.isRecording()) span.end();
    end(root, error?.code ?? null);
  }
}

type Scope = Pick<Operation, 'job' | 'generation' | 'epoch'>;

function attributesOf({ job, generation, epoch }: Scope) {
  return { 'holdfast.job': job, 'holdfast.generation': generation, 'holdfast.epoch': epoch };
}

function epochKey({ job, epoch }: Pick<Scope, 'job' | 'epoch'>): string {
  return `${job}/${epoch}`;
}

function below(span: Span): Parent {
  return trace.setSpan(ROOT_CONTEXT, span);
}

function end(span: Span, code: string | null): void {
  if (code !== null) span.setStatus({ code: SpanStatusCode.ERROR, message: code });
  span.end();
}
