/** HTTP for who watches a daemon: /metrics, /healthz (it answers at all) and /readyz (it can do its work). */
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { collectDefaultMetrics, Gauge, type Registry } from 'prom-client';
import { HoldfastError } from '../errors';
import { VERSION } from '../version';
import { listenAddress } from './address';

export interface Watched {
  readonly registry: Registry;
  /** Why it cannot do its work now; empty when it can. */
  readonly unready: () => readonly string[];
  /** What it can do; absent: "ready". */
  readonly readiness?: () => string;
}

export interface TelemetryServer {
  /** HOST:PORT with the port that was bound. */
  readonly address: string;
  close(): Promise<void>;
}

/** Who asks has nothing to say beyond a request line. */
const REQUEST_MS = 5_000;
/** A few monitoring systems. */
const MAX_CONNECTIONS = 64;

/** @param address [HOST:]PORT. @throws HoldfastError WRONG_STATE when it cannot be bound */
export async function serveTelemetry(address: string, watched: Watched): Promise<TelemetryServer> {
  addProcessMetrics(watched.registry);
  const server = createServer({ requestTimeout: REQUEST_MS, headersTimeout: REQUEST_MS });
  server.maxConnections = MAX_CONNECTIONS;
  server.on('request', (request, response) => {
    const isRead = request.method === 'GET' || request.method === 'HEAD';
    const path = request.url?.replace(/\?.*$/, '') ?? '';
    answer(isRead ? path : null, response, watched).catch((thrown) => reply(response, 500, `${thrown}`));
  });
  const { host, port } = await listen(server, address);
  return {
    address: `${host.includes(':') ? `[${host}]` : host}:${port}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function answer(path: string | null, response: ServerResponse, watched: Watched): Promise<void> {
  switch (path) {
    case '/metrics':
      response.setHeader('content-type', watched.registry.contentType);
      response.end(await watched.registry.metrics());
      return;
    case '/healthz':
      return reply(response, 200, 'ok');
    case '/readyz': {
      const reasons = watched.unready();
      return reply(
        response,
        reasons.length === 0 ? 200 : 503,
        reasons.join('\n') || (watched.readiness?.() ?? 'ready'),
      );
    }
    case null:
      return reply(response, 405, 'only GET');
    default:
      return reply(response, 404, 'there are /metrics, /healthz and /readyz');
  }
}

function reply(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8' }).end(`${text}\n`);
}

function listen(server: Server, address: string): Promise<{ host: string; port: number }> {
  const { host, port } = listenAddress(address);
  return new Promise((resolve, reject) => {
    // For good: a connection that cannot be accepted later on must not end the daemon.
    server.on('error', (cause) => {
      const message = `cannot serve metrics on ${address}: ${cause.message}`;
      reject(new HoldfastError('WRONG_STATE', message, 'choose another address with --metrics', { cause }));
    });
    server.listen(port, host, () => resolve({ host, port: (server.address() as AddressInfo).port }));
  });
}

function addProcessMetrics(registry: Registry): void {
  collectDefaultMetrics({ register: registry });
  new Gauge({
    name: 'holdfast_build_info',
    help: 'Always 1; the version is in the label.',
    labelNames: ['version'],
    registers: [registry],
  }).set({ version: VERSION }, 1);
}
