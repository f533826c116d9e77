/** What a MUNGE credential is for: one call, with one request, to one coordinator. Nothing else can be done with it. Pure. */
import { createHash } from 'node:crypto';

/** Metadata of a call. */
export const MUNGE_KEY = 'holdfast-munge';
export const MUNGE_TTL_S = 60;

/**
 * @param method full name of the gRPC method
 * @param request its encoded message; null: a stream, which nobody has seen yet
 * @param host what the tool dialled: the coordinator's certificate must be good for it
 */
export function bindingText(method: string, request: Uint8Array | null, host: string): string {
  const digest = request === null ? 'stream' : createHash('sha256').update(request).digest('hex');
  return ['holdfast-call-1', method, digest, host].join('\n');
}

/** The host that a credential is for, when all the rest is as it should be; else what is wrong. */
export function hostOfBinding(
  text: string,
  method: string,
  request: Uint8Array | null,
): { host: string } | { problem: string } {
  const host = text.split('\n')[3] ?? '';
  if (text === bindingText(method, request, host) && host !== '') return { host };
  return text.startsWith('holdfast-call-1\n')
    ? { problem: 'is for another call or request' }
    : { problem: 'is not one of Holdfast' };
}
