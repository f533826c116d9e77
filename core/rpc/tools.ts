/** The UNIX socket for local tools: every connection is served under the identity the kernel gives it. */
import type { Socket } from 'node:net';
import {
  Server,
  ServerCredentials,
  type ServiceDefinition,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import { channelOptions } from './channel';
import type { Identity } from './identity';
import { type Peer, serveLocally } from './localSocket';

export interface ToolsOptions {
  readonly socketPath: string;
  /** SO_PEERCRED of a connected socket's descriptor (native/index.ts). */
  readonly peerCredentials: (fd: number) => Peer;
  /** Name of this node, put into every identity; null at the coordinator. */
  readonly node: string | null;
  readonly services: (identity: Identity) => readonly Service[];
  /** A connection that could not be served. */
  readonly onError?: (error: Error) => void;
}

/** @see service */
export interface Service {
  readonly definition: ServiceDefinition;
  readonly handlers: UntypedServiceImplementation;
}

export const service = <Handlers extends UntypedServiceImplementation>(
  definition: ServiceDefinition<Handlers>,
  handlers: Handlers,
): Service => ({ definition: definition as ServiceDefinition, handlers });

export interface ToolsServer {
  /** Ends all connections and removes the socket. */
  close(): Promise<void>;
}

/** @throws HoldfastError WRONG_STATE when another process serves the socket */
export async function serveTools(options: ToolsOptions): Promise<ToolsServer> {
  const servers = new Set<Server>();
  const serve = (socket: Socket, peer: Peer): void => {
    const server = serveConnection(socket, peer, options);
    servers.add(server);
    socket.once('close', () => {
      servers.delete(server);
      server.forceShutdown();
    });
  };
  const { socketPath, peerCredentials, onError } = options;
  const listener = await serveLocally(socketPath, peerCredentials, serve, onError);
  return {
    close: () => {
      const closed = listener.close();
      for (const server of servers) server.forceShutdown();
      return closed;
    },
  };
}

/**
 * A gRPC server of its own for each connection: handlers then hold their caller's identity in a closure, and
 * no message, header or reused object can carry another one in.
 */
function serveConnection(socket: Socket, { pid, uid, gid }: Peer, options: ToolsOptions): Server {
  const server = new Server(channelOptions());
  for (const { definition, handlers } of options.services({ pid, uid, gid, node: options.node }))
    server.addService(definition, handlers);
  server.createConnectionInjector(ServerCredentials.createInsecure()).injectConnection(socket);
  socket.resume();
  return server;
}
