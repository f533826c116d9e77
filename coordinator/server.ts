/** The TCP port: agents' sessions, and the calls they forward. */
import { Server, ServerCredentials } from '@grpc/grpc-js';
import { HoldfastError } from '../core/errors';
import type { Logger } from '../core/log';
import { channelOptions } from '../core/rpc/channel';
import { coordinatorNameIn, serverCredentials } from '../core/tls/credentials';
import { AgentServiceService } from '../proto/gen/holdfast/v1/agent';
import { CoordinatorServiceService } from '../proto/gen/holdfast/v1/coordinator';
import { forwardedService } from './api/forwarded';
import type { Clock } from './clock';
import type { Post } from './leadership/post';
import type { CoordinatorOptions } from './options';
import { sessionService } from './sessions/service';

export interface Listening {
  /** HOST:PORT with the port that was bound. */
  readonly address: string;
  close(): void;
}

export async function listen(
  post: Post,
  options: CoordinatorOptions,
  { clock, log }: { clock: Clock; log: Logger },
): Promise<Listening> {
  const server = new Server(channelOptions(options.leaseMs));
  const isInsecure = options.insecureLoopback;
  server.addService(AgentServiceService, sessionService({ fleet: post.fleet, clock, log, isInsecure }));
  server.addService(CoordinatorServiceService, forwardedService(post.serving, isInsecure));
  const port = await bind(server, options.listen, await credentialsOf(options));
  const host = options.listen.slice(0, options.listen.lastIndexOf(':'));
  return { address: `${host}:${port}`, close: () => server.forceShutdown() };
}

async function credentialsOf({ tlsDirectory, tlsName }: CoordinatorOptions): Promise<ServerCredentials> {
  if (tlsDirectory === undefined) return ServerCredentials.createInsecure();
  return serverCredentials(tlsDirectory, tlsName ?? (await coordinatorNameIn(tlsDirectory)));
}

function bind(server: Server, address: string, credentials: ServerCredentials): Promise<number> {
  return new Promise((resolve, reject) => {
    server.bindAsync(address, credentials, (cause, port) => {
      if (cause === null) return resolve(port);
      const remedy = 'choose another address, or stop what uses it';
      reject(
        new HoldfastError('WRONG_STATE', `cannot listen on ${address}: ${cause.message}`, remedy, { cause }),
      );
    });
  });
}
