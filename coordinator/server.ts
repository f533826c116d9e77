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
import { hostPort, serveTcp } from './listener';
import { listenMunge } from './munge/server';
import type { CoordinatorOptions } from './options';
import { sessionService } from './sessions/service';

export interface Listening {
  /** HOST:PORT with the port that was bound. */
  readonly address: string;
  /** HOST:PORT for tools with MUNGE credentials. */
  readonly mungeAddress: string | undefined;
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
  const listener = await serveTcp(server, { ...hostPort(options.listen), certificates, log });
  const munge = await listenMunge(context, options, certificates);
  return {
    address: `${options.listen.slice(0, options.listen.lastIndexOf(':'))}:${listener.port}`,
    mungeAddress: munge?.address,
    close: () => {
      listener.close();
      server.forceShutdown();
      munge?.close();
    },
  };
}

/** null: plain text. @throws HoldfastError INVALID_ARGUMENT */
export async function openCertificates(options: CoordinatorOptions): Promise<LiveCertificates | null> {
  const { tlsDirectory, tlsName } = options;
  if (tlsDirectory === undefined) return null;
  return LiveCertificates.open(tlsDirectory, tlsName ?? (await coordinatorNameIn(tlsDirectory)));
}
