/** CoordinatorService on the TCP port: calls that agents forward, each under the identity in its metadata. */
import type { Metadata } from '@grpc/grpc-js';
import { HoldfastError } from '../../core/errors';
import { type Identity, identityFromMetadata } from '../../core/rpc/identity';
import { type AuthenticatedCall, nodeNameOf } from '../../core/tls/peer';
import type { CoordinatorServiceServer } from '../../proto/gen/holdfast/v1/coordinator';
import { dispatching, type Serving } from './dispatch';

/** @param isInsecure without TLS, on loopback: the metadata's node is believed */
export function forwardedService(serving: () => Serving, isInsecure: boolean): CoordinatorServiceServer {
  return dispatching(serving, (call) => callerOf(call, isInsecure));
}

/** The node is the certificate's; only then is the uid it vouches for believed. */
function callerOf(call: AuthenticatedCall & { metadata: Metadata }, isInsecure: boolean): Identity {
  const identity = identityFromMetadata(call.metadata);
  if (isInsecure) return identity;
  const node = nodeNameOf(call);
  if (node === identity.node) return identity;
  throw new HoldfastError(
    'UNAUTHENTICATED',
    `node ${node} forwards a call as if it were node ${identity.node}`,
  );
}
