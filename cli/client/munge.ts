/** A coordinator that is called without an agent: MUNGE says who calls, the cluster's authority says who answers. */
import { readFile } from 'node:fs/promises';
import type { ChannelCredentials, Metadata } from '@grpc/grpc-js';
import { Metadata as GrpcMetadata, credentials as grpcCredentials } from '@grpc/grpc-js';
import { HoldfastError } from '../../core/errors';
import { bindingText, MUNGE_KEY } from '../../core/munge/binding';
import { encodeCredential } from '../../core/munge/program';
import { checkCoordinator } from '../../core/tls/credentials';

export interface MungeTarget {
  readonly host: string;
  readonly ca: string;
  readonly mungeSocket: string | undefined;
}

/** @throws HoldfastError INVALID_ARGUMENT when the authority's certificate cannot be read */
export async function coordinatorCredentials({ ca, host }: MungeTarget): Promise<ChannelCredentials> {
  let authority: Buffer;
  try {
    authority = await readFile(ca);
  } catch (cause) {
    const reason = (cause as NodeJS.ErrnoException).code ?? String(cause);
    const remedy = "copy the cluster's ca.crt there, or name it with --ca";
    throw new HoldfastError('INVALID_ARGUMENT', `cannot read ${ca}: ${reason}`, remedy, { cause });
  }
  return grpcCredentials.createSsl(authority, null, null, {
    checkServerIdentity: (_, shown) => checkCoordinator(host, shown),
  });
}

/** For one call. @param request encoded; null: a stream */
export async function mungeMetadata(
  { host, mungeSocket }: MungeTarget,
  method: string,
  request: Uint8Array | null,
): Promise<Metadata> {
  const metadata = new GrpcMetadata();
  metadata.set(MUNGE_KEY, await encodeCredential(bindingText(method, request, host), mungeSocket));
  return metadata;
}
