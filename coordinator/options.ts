/** The coordinator's configuration: parsed once, complete, frozen. */
import { isIP } from 'node:net';
import { isAbsolute } from 'node:path';
import { z } from 'zod';
import { HoldfastError } from '../core/errors';

const absolute = z.string().refine(isAbsolute, 'must be an absolute path');

const schema = z
  .object({
    /** HOST:PORT to listen on for agents; port 0 takes a free one. An IPv6 host is written in brackets. */
    listen: z
      .string()
      .regex(/^(\[[0-9a-fA-F:]+\]|[^:\s]+):[0-9]{1,5}$/, 'must be HOST:PORT')
      .default('0.0.0.0:7020'),
    /** ca.crt and NAME.crt, NAME.key. */
    tlsDirectory: absolute.optional(),
    /** Name of the coordinator's certificate in it; default: its only one with a coordinator's role. */
    tlsName: z.string().optional(),
    /** Plain text, for tests on one machine. */
    insecureLoopback: z.boolean().default(false),
    stateDirectory: absolute.default('/var/lib/holdfast'),
    /** A Redis of the site's own; without it, one of ours in the state directory. */
    redisUrl: z.string().optional(),
    storeUrl: z.string().min(1),
    toolsSocket: absolute.default('/run/holdfast/coordinator.sock'),
    leaseMs: z.number().int().min(200).max(600_000).default(10_000),
    heartbeatMs: z.number().int().min(20).optional(),
    /** At work at the same time, in the whole cluster. */
    maxCheckpoints: z.number().int().min(1).max(1_000).default(16),
    logLevel: z.string().optional(),
  })
  .strict();

export type CoordinatorOptionsInput = z.input<typeof schema>;
export type CoordinatorOptions = Readonly<z.output<typeof schema> & { heartbeatMs: number; host: string }>;

/** @throws HoldfastError INVALID_ARGUMENT naming the field, what was received and what is expected */
export function parseCoordinatorOptions(input: CoordinatorOptionsInput): CoordinatorOptions {
  const parsed = schema.safeParse(input);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    const field = issue?.path.join('.') ?? '';
    const received = JSON.stringify((input as Record<string, unknown>)[field]);
    throw invalid(`coordinator option ${field}: ${issue?.message}; received ${received}`);
  }
  const options = parsed.data;
  const host = options.listen.slice(0, options.listen.lastIndexOf(':')).replace(/^\[|\]$/g, '');
  const heartbeatMs = options.heartbeatMs ?? Math.max(20, Math.floor(options.leaseMs / 5));
  if (heartbeatMs * 2 > options.leaseMs) {
    throw invalid(`heartbeatMs ${heartbeatMs} must be at most half of leaseMs ${options.leaseMs}`);
  }
  if ((options.tlsDirectory === undefined) !== options.insecureLoopback) {
    throw invalid('give either a TLS directory or the option for plain text on loopback');
  }
  if (options.insecureLoopback && !isLoopback(host)) {
    throw invalid(`plain text is only allowed on a loopback address, not on ${host}`);
  }
  return Object.freeze({ ...options, heartbeatMs, host });
}

/** By address: a name could be pointed elsewhere. */
export function isLoopback(host: string): boolean {
  return (isIP(host) === 4 && host.startsWith('127.')) || host === '::1';
}

function invalid(message: string): HoldfastError {
  return new HoldfastError('INVALID_ARGUMENT', message, 'see `holdfast coordinator --help`');
}
