/**
 * What the SDK sends its requests through. It adds what the SDK leaves out: time limits, and one error for every
 * refusal, made after the reply was read to its end. (Left to itself the SDK drops a 5xx reply unread, which
 * keeps the socket forever, and hides status and code.)
 */
import http from 'node:http';
import https from 'node:https';
import type { Socket } from 'node:net';
import type { ClientOptions } from 'minio';
import { errnoError } from './errors';
import { S3Failure } from './failure';

export interface TransportLimits {
  /** Sockets to the endpoint; further requests wait. */
  readonly sockets: number;
  readonly connectTimeoutMs: number;
  /** The longest time without a byte in either direction. */
  readonly idleTimeoutMs: number;
}

export const TRANSPORT_LIMITS: TransportLimits = {
  sockets: 32,
  connectTimeoutMs: 5_000,
  idleTimeoutMs: 30_000,
};

/** Shorter than servers keep idle connections, so that a request seldom meets one that is just being closed. */
const KEEP_IDLE_SOCKET_MS = 15_000;
const MAX_ERROR_BODY_BYTES = 64 * 1024;

export type Agent = http.Agent | https.Agent;
type Transport = NonNullable<ClientOptions['transport']>;

export function createAgent(secure: boolean, { sockets }: TransportLimits): Agent {
  const options = {
    keepAlive: true,
    maxSockets: sockets,
    maxFreeSockets: sockets,
    timeout: KEEP_IDLE_SOCKET_MS,
  };
  return secure ? new https.Agent(options) : new http.Agent(options);
}

export function createTransport(secure: boolean, limits: TransportLimits): Transport {
  const send = secure ? https.request : http.request;
  const request = (options: http.RequestOptions, onSuccess: (response: http.IncomingMessage) => void) => {
    const sent = send({ ...options, timeout: limits.idleTimeoutMs }, (response) => {
      const { statusCode = 0 } = response;
      if (statusCode >= 200 && statusCode < 300) onSuccess(response);
      else readFailure(statusCode, response).then((failure) => sent.emit('error', failure));
    });
    sent.once('timeout', () =>
      sent.destroy(errnoError('ETIMEDOUT', `no byte for ${limits.idleTimeoutMs} ms`)),
    );
    sent.once('socket', (socket: Socket) => limitConnect(sent, socket, limits.connectTimeoutMs));
    return sent;
  };
  // The SDK calls only this one of the overloads.
  return { request: request as typeof http.request };
}

function limitConnect(request: http.ClientRequest, socket: Socket, timeoutMs: number): void {
  if (!socket.connecting) return;
  const late = () => request.destroy(errnoError('ETIMEDOUT', `no connection in ${timeoutMs} ms`));
  const timer = setTimeout(late, timeoutMs);
  socket.once('connect', () => clearTimeout(timer));
  socket.once('close', () => clearTimeout(timer));
}

/** Reads an error reply to its end, so that its socket can be used again. */
function readFailure(status: number, response: http.IncomingMessage): Promise<Error> {
  return new Promise((resolve) => {
    let text = '';
    response.setEncoding('utf8');
    response.on('data', (chunk: string) => {
      if (text.length < MAX_ERROR_BODY_BYTES) text += chunk;
    });
    response.once('end', () => resolve(new S3Failure(status, text)));
    response.once('error', resolve);
  });
}
