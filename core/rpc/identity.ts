/** Who calls, as the kernel (SO_PEERCRED) or a node's certificate says: never as a message says. */
import { type Metadata as GrpcMetadata, Metadata } from '@grpc/grpc-js';
import { HoldfastError } from '../errors';
import { isNodeName } from '../ids';

export interface Identity {
  readonly uid: number;
  readonly gid: number;
  /** In the pid namespace of the node the call came from; 0 when unknown. */
  readonly pid: number;
  /** The node whose agent forwarded the call; null on the coordinator's own socket. */
  readonly node: string | null;
}

export function isRoot(identity: Identity): boolean {
  return identity.uid === 0;
}

/** What a forwarding agent adds to a call. */
export function identityMetadata(identity: Identity & { node: string }): GrpcMetadata {
  const metadata = new Metadata();
  metadata.set('holdfast-uid', String(identity.uid));
  metadata.set('holdfast-gid', String(identity.gid));
  metadata.set('holdfast-pid', String(identity.pid));
  metadata.set('holdfast-node', identity.node);
  return metadata;
}

/** @throws HoldfastError UNAUTHENTICATED when a field is missing or malformed */
export function identityFromMetadata(metadata: GrpcMetadata): Identity & { node: string } {
  const [node] = metadata.get('holdfast-node');
  if (typeof node !== 'string' || !isNodeName(node)) {
    throw new HoldfastError('UNAUTHENTICATED', 'the forwarded call does not say which node it comes from');
  }
  return {
    uid: idFrom(metadata, 'holdfast-uid'),
    gid: idFrom(metadata, 'holdfast-gid'),
    pid: idFrom(metadata, 'holdfast-pid'),
    node,
  };
}

function idFrom(metadata: GrpcMetadata, key: string): number {
  const [text] = metadata.get(key);
  const value = typeof text === 'string' && /^[0-9]{1,10}$/.test(text) ? Number(text) : Number.NaN;
  // 2^32 - 1 is the kernel's "no id".
  if (value < 0xffff_ffff) return value;
  throw new HoldfastError('UNAUTHENTICATED', `the forwarded call has no valid ${key}`);
}
