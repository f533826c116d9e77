/** The TCP port: agents' sessions, and the calls they forward. */
import { Server } from '@grpc/grpc-js';
import { channelOptions, MAX_STREAMS } from '../core/rpc/channel';
import { coordinatorNameIn } from '../core/tls/credentials';
import { LiveCertificates } from '../core/tls/live';
import { AgentServiceService } from '../proto/gen/holdfast/v1/agent';
import { CoordinatorServiceService } from '../proto/gen/holdfast/v1/coordinator';
import { forwardedIdentity } from './api/forwarded';
import { servedBy, servedCoordinator } from './api/serve';
import type { Context } from './context';
import { serveTcp } from './listener';
import type { CoordinatorOptions } from './options';
import { sessionService } from './sessions/service';

export interface Listening {
  /** HOST:PORT with the port that was bound. */
  readonly address: string;
  close(): void;
}

export async function listen(
  context: Context,
  options: CoordinatorOptions,
  certificates: LiveCertificates | null,
): Promise<Listening> {
  const { fleet, clock, log } = context;
  const server = new Server({
    ...channelOptions(options.leaseMs),
    'grpc.max_concurrent_streams': MAX_STREAMS.agent,
  });
  const isInsecure = options.insecureLoopback;
  server.addService(AgentServiceService, sessionService({ fleet, clock, log, isInsecure }));
  const forwarded = servedCoordinator(servedBy(context), 'agent', (call) =>
    forwardedIdentity(call, isInsecure),
  );
  server.addService(CoordinatorServiceService, forwarded);
  const colon = options.listen.lastIndexOf(':');
  const asked = { host: options.host, port: Number(options.listen.slice(colon + 1)) };
  const listener = await serveTcp(server, { ...asked, certificates, log });
  return {
    address: `${options.listen.slice(0, colon)}:${listener.port}`,
    close: () => {
      listener.close();
      server.forceShutdown();
    },
  };
}

/** null: plain text. @throws HoldfastError INVALID_ARGUMENT */
export async function openCertificates(options: CoordinatorOptions): Promise<LiveCertificates | null> {
  const { tlsDirectory, tlsName } = options;
  if (tlsDirectory === undefined) return null;
  return LiveCertificates.open(tlsDirectory, tlsName ?? (await coordinatorNameIn(tlsDirectory)));
}
