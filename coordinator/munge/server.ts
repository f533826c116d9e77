/** The port for tools on machines without an agent: no certificate is asked of them, MUNGE says who they are. */
import { Server } from '@grpc/grpc-js';
import { channelOptions, MAX_STREAMS } from '../../core/rpc/channel';
import type { LiveCertificates } from '../../core/tls/live';
import { CoordinatorServiceService } from '../../proto/gen/holdfast/v1/coordinator';
import { servedBy, servedCoordinator } from '../api/serve';
import type { Context } from '../context';
import { hostPort, serveTcp } from '../listener';
import type { CoordinatorOptions } from '../options';
import { MungeIdentities } from './identity';

const IDLE_MS = 30_000;
const MAX_CONNECTIONS = 1024;

export interface MungeServer {
  readonly address: string;
  close(): void;
}

/** null: the site has not asked for it. @throws HoldfastError WRONG_STATE */
export async function listenMunge(
  context: Context,
  options: Pick<CoordinatorOptions, 'mungeListen' | 'mungeSocket'>,
  certificates: LiveCertificates | null,
): Promise<MungeServer | null> {
  const { mungeListen, mungeSocket: socket } = options;
  if (mungeListen === undefined || certificates === null) return null;
  const { clock, log } = context;
  const identities = new MungeIdentities({ clock, certificates, socket });
  const server = new Server({
    ...channelOptions(),
    'grpc.max_concurrent_streams': MAX_STREAMS.tool,
    // Anybody can open a connection here, and say nothing.
    'grpc.max_connection_idle_ms': IDLE_MS,
  });
  const served = servedCoordinator(servedBy(context), 'munge', (call, method, request) =>
    identities.of(call.metadata, method, request()),
  );
  server.addService(CoordinatorServiceService, served);
  const { host, port } = hostPort(mungeListen);
  const anonymous = { isAnonymous: true, maxConnections: MAX_CONNECTIONS };
  const listener = await serveTcp(server, { host, port, certificates, log, ...anonymous });
  return {
    address: `${mungeListen.slice(0, mungeListen.lastIndexOf(':'))}:${listener.port}`,
    close: () => {
      listener.close();
      server.forceShutdown();
    },
  };
}
