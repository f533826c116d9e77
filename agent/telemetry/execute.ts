/** Wrappers around the execution of a command: what is seen of it from outside, and what its log lines say. */
import { context, SpanKind, SpanStatusCode, type Tracer, trace } from '@opentelemetry/api';
import { logging } from '../../core/log';
import { contextOf } from '../../core/telemetry/context';
import type { Command, CommandResult } from '../../proto/gen/holdfast/v1/agent';
import type { ReportProgress } from '../session/dispatcher';

/** Never rejects: a failure is a result. */
export type Execute = (command: Command, report: ReportProgress) => Promise<CommandResult>;

/** Every line of the log that comes of a command names its job, generation and epoch. */
export function logged(execute: Execute): Execute {
  return (command, report) => {
    const { job, generation, epoch, body } = command;
    return logging({ job, generation, epoch, command: body?.$case }, () => execute(command, report));
  };
}

/** A span below the one that the coordinator sent along; what the command starts, is below it in turn. */
export function traced(tracer: Tracer, node: string, execute: Execute): Execute {
  return (command, report) => {
    if (command.traceParent === '') return execute(command, report);
    const { job, generation, epoch, body } = command;
    const parent = contextOf(command.traceParent);
    const attributes = {
      'holdfast.job': job,
      'holdfast.generation': generation,
      'holdfast.epoch': epoch,
      'holdfast.node': node,
    };
    const span = tracer.startSpan(body?.$case ?? '', { kind: SpanKind.SERVER, attributes }, parent);
    return context.with(trace.setSpan(parent, span), async () => {
      const result = await execute(command, report);
      const { error } = result;
      if (error !== undefined) span.setStatus({ code: SpanStatusCode.ERROR, message: error.code });
      span.end();
      return result;
    });
  };
}
