/** One structured line per event, on stderr: stdout belongs to command output. */
import { AsyncLocalStorage } from 'node:async_hooks';
import pino, { type Logger } from 'pino';
import { withoutSecrets } from './secrets';
import { activeTrace } from './telemetry/context';

export type { Logger } from 'pino';

export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;

export const isLogLevel = (text: string): boolean => LOG_LEVELS.some((level) => level === text);

/** What the operation at work is; fields of a line itself win over it. */
const scope = new AsyncLocalStorage<object>();

/**
 * Every line that is logged by the work, and by all it awaits and starts, says which operation it is about: nobody has to
 * hand the fields down. Scopes nest.
 */
export function logging<T>(fields: object, work: () => T): T {
  return scope.run({ ...scope.getStore(), ...fields }, work);
}

/**
 * Type, message, stack and code. Errors of libraries carry more: a Redis client's error names the command with its
 * arguments, of which one is the password.
 */
function errorFields(thrown: unknown): unknown {
  if (!(thrown instanceof Error)) return thrown;
  const { type, message, stack } = pino.stdSerializers.err(thrown);
  const { code, remedy } = thrown as { code?: unknown; remedy?: unknown };
  return { type, message: withoutSecrets(message), stack: withoutSecrets(stack), code, remedy };
}

/** Where lines go, for tests. */
export interface LogSink {
  write(line: string): void;
}

/**
 * @param part  which part of Holdfast speaks: coordinator, agent, cli
 * @param level pino's level names; default from HOLDFAST_LOG, else info
 */
export function openLog(
  part: string,
  level = process.env.HOLDFAST_LOG ?? 'info',
  sink: LogSink = pino.destination({ fd: 2, sync: true }),
): Logger {
  const mixin = (_line: object, _level: number, logger: Logger) => {
    const fields = { ...scope.getStore(), ...activeTrace() };
    // A field that the logger itself has would be there twice.
    const bound = logger.bindings();
    return Object.fromEntries(Object.entries(fields).filter(([name]) => !Object.hasOwn(bound, name)));
  };
  const serializers = { err: errorFields, error: errorFields };
  return pino({ name: part, level, base: { part }, mixin, serializers }, sink);
}
