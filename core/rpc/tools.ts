/** The UNIX socket for local tools: every connection is served under the identity the kernel gives it. */
import type { Socket } from 'node:net';
import {
  Server,
  ServerCredentials,
  type ServiceDefinition,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import { channelOptions, MAX_STREAMS } from './channel';
import type { Identity } from './identity';
import { type LocalSocketOptions, type Peer, serveLocally } from './localSocket';

export interface ToolsOptions extends LocalSocketOptions {
  readonly socketPath: string;
  /** SO_PEERCRED of a connected socket's descriptor (native/index.ts). */
  readonly peerCredentials: (fd: number) => Peer;
  /** Name of this node, put into every identity; null at the coordinator. */
  readonly node: string | null;
  readonly services: (identity: Identity) => readonly Service[];
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
    const server = serveConnection(socket, { ...peer, node: options.node }, options);
    servers.add(server);
    socket.once('close', () => {
      servers.delete(server);
      server.forceShutdown();
    });
  };
  const listener = await serveLocally(options.socketPath, options.peerCredentials, serve, options);
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
function serveConnection(socket: Socket, identity: Identity, options: ToolsOptions): Server {
  const server = new Server({ ...channelOptions(), 'grpc.max_concurrent_streams': MAX_STREAMS.tool });
  for (const { definition, handlers } of options.services(identity)) server.addService(definition, handlers);
  server.createConnectionInjector(ServerCredentials.createInsecure()).injectConnection(socket);
  socket.resume();
  return server;
}
