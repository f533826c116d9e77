/** Whom a tool calls, and how it says who it is. */
import type * as Grpc from '@grpc/grpc-js';
import { HoldfastError } from '../../core/errors';
import type * as Credentials from '../../core/tls/credentials';
import { TLS_DIRECTORY } from '../../core/tls/files';
import type * as Munge from './munge';
import { chooseSocket } from './socket';

export interface TargetOptions {
  readonly socket?: string;
  /** HOST:PORT of a coordinator's port for MUNGE. */
  readonly coordinator?: string;
  readonly auth?: 'munge';
  readonly ca?: string;
  readonly mungeSocket?: string;
}

export interface Target {
  readonly address: string;
  /** null: a coordinator elsewhere. */
  readonly socketPath: string | null;
  readonly credentials: Grpc.ChannelCredentials;
  readonly channel: Grpc.ChannelOptions;
  /** Of one call. @param request encoded; null: a stream */
  metadataFor(method: string, request: Uint8Array | null): Promise<Grpc.Metadata>;
}

/** @throws HoldfastError INVALID_ARGUMENT, COORDINATOR_UNAVAILABLE, PERMISSION_DENIED */
export async function chooseTarget(options: TargetOptions): Promise<Target> {
  const { coordinator, auth } = options;
  if ((coordinator === undefined) !== (auth === undefined)) {
    const message = '--coordinator and --auth munge belong together';
    throw new HoldfastError(
      'INVALID_ARGUMENT',
      message,
      'give both, or neither to call the agent of this node',
    );
  }
  const grpc = require('@grpc/grpc-js') as typeof Grpc;
  if (coordinator === undefined) {
    const socketPath = await chooseSocket(options.socket);
    return {
      address: `unix:${socketPath}`,
      socketPath,
      credentials: grpc.credentials.createInsecure(),
      channel: {},
      metadataFor: async () => new grpc.Metadata(),
    };
  }
  const { coordinatorCredentials, mungeMetadata } = require('./munge') as typeof Munge;
  const { addressOptions } = require('../../core/tls/credentials') as typeof Credentials;
  const host = coordinator.slice(0, coordinator.lastIndexOf(':')).replace(/^\[|\]$/g, '');
  const { ca = `${TLS_DIRECTORY}/ca.crt`, mungeSocket } = options;
  const target = { host, ca, mungeSocket };
  return {
    address: coordinator,
    socketPath: null,
    credentials: await coordinatorCredentials(target),
    channel: addressOptions(host),
    metadataFor: (method, request) => mungeMetadata(target, method, request),
  };
}
