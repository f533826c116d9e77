import type { IncomingMessage } from 'node:http';
import { finished } from 'node:stream/promises';
import { HoldfastError } from '../../core/errors';
import { roomFor } from '../contract';
import { errnoError } from './errors';

/** Reads a reply whose body does not matter to its end, so that its socket can be used again. */
export async function drain(response: IncomingMessage): Promise<void> {
  response.resume();
  await finished(response);
}

/**
 * The body in one buffer of the announced size, each chunk copied once.
 * @param options expectedBytes: what the reply must announce, when the caller knows; into: where to put it, if it fits
 */
export async function readBody(
  response: IncomingMessage,
  what: string,
  { expectedBytes, into }: { expectedBytes?: number; into?: Buffer } = {},
): Promise<Buffer> {
  const sizeBytes = contentLength(response);
  if (sizeBytes !== (expectedBytes ?? sizeBytes)) {
    response.destroy();
    const message = `${what}: the server has ${sizeBytes} bytes of the range, expected ${expectedBytes}`;
    throw new HoldfastError(
      'CORRUPT',
      message,
      'the object is shorter than recorded; use another generation',
    );
  }
  const body = roomFor(sizeBytes, into);
  let filled = 0;
  response.on('data', (chunk: Buffer) => {
    filled += chunk.copy(body, filled);
  });
  await finished(response);
  if (filled !== sizeBytes)
    throw errnoError('ECONNRESET', `the reply ended after ${filled} of ${sizeBytes} bytes`);
  return body;
}

export function contentLength(response: IncomingMessage): number {
  const length = Number(response.headers['content-length']);
  if (Number.isSafeInteger(length) && length >= 0) return length;
  response.destroy();
  throw errnoError('EPROTO', 'the reply has no valid Content-Length');
}
