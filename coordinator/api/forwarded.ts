/** Calls on the TCP port: an agent forwards them under the identity in their metadata. */
import type { Metadata } from '@grpc/grpc-js';
import { HoldfastError } from '../../core/errors';
import { type Identity, identityFromMetadata } from '../../core/rpc/identity';
import { type AuthenticatedCall, nodeNameOf } from '../../core/tls/peer';

/**
 * The node is the certificate's; only then is the uid it vouches for believed.
 * @param isInsecure without TLS, on loopback: the metadata's node is believed
 * @throws HoldfastError UNAUTHENTICATED
 */
export function forwardedIdentity(
  call: AuthenticatedCall & { metadata: Metadata },
  isInsecure: boolean,
): Identity {
  const identity = identityFromMetadata(call.metadata);
  if (isInsecure) return identity;
  const node = nodeNameOf(call);
  if (node === identity.node) return identity;
  throw new HoldfastError(
    'UNAUTHENTICATED',
    `node ${node} forwards a call as if it were node ${identity.node}`,
  );
}
