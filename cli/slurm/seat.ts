/** Takes a seat for this process (docs/architecture.md, "Seats"), and keeps it as long as this process lives. */
import type * as Grpc from '@grpc/grpc-js';
import { HoldfastError } from '../../core/errors';
import type * as Rpc from '../../core/rpc/errors';
import type * as Generated from '../../proto/gen/holdfast/v1/agent';
import type { Connection } from '../client/connection';

const TAKE_MS = 10_000;
/** An agent that restarts is back within seconds, and has forgotten its seats. */
const AGAIN_MS = 500;

/** @throws HoldfastError INVALID_ARGUMENT when no agent is called */
export function agentSocket({ socketPath }: Connection): string {
  if (socketPath !== null) return socketPath;
  const message = 'a job in Slurm needs the agent of its node, not a coordinator elsewhere';
  throw new HoldfastError('INVALID_ARGUMENT', message, 'leave out --coordinator, or give --no-slurm');
}

export interface HeldSeat {
  /** The agent's name of this node. */
  readonly node: string;
  release(): void;
}

/** @throws HoldfastError COORDINATOR_UNAVAILABLE without an agent at the socket */
export async function takeSeat(socketPath: string, seat: string): Promise<HeldSeat> {
  const grpc = require('@grpc/grpc-js') as typeof Grpc;
  const { SeatServiceClient } = require('../../proto/gen/holdfast/v1/agent') as typeof Generated;
  const { fromGrpcError } = require('../../core/rpc/errors') as typeof Rpc;
  const client = new SeatServiceClient(`unix:${socketPath}`, grpc.credentials.createInsecure(), {
    'grpc.max_reconnect_backoff_ms': AGAIN_MS,
    'grpc.initial_reconnect_backoff_ms': 100,
  });
  let released = false;
  let call: Grpc.ClientReadableStream<Generated.TakeSeatResponse> | undefined;
  const take = (): Promise<string> =>
    new Promise((resolve, reject) => {
      call = client.takeSeat({ seat });
      call.once('data', ({ node }: Generated.TakeSeatResponse) => resolve(node));
      call.on('error', (error) => {
        reject(explained(fromGrpcError(error), socketPath));
        again();
      });
      call.on('end', again);
    });
  let isTaken = false;
  let isWaiting = false;
  const again = () => {
    if (released || !isTaken || isWaiting) return;
    isWaiting = true;
    setTimeout(() => {
      isWaiting = false;
      if (!released) take().catch(() => {});
    }, AGAIN_MS).unref();
  };
  const late = setTimeout(() => call?.cancel(), TAKE_MS);
  const release = () => {
    released = true;
    call?.cancel();
    client.close();
  };
  try {
    const node = await take();
    isTaken = true;
    return { node, release };
  } catch (error) {
    release();
    throw error;
  } finally {
    clearTimeout(late);
  }
}

function explained(error: HoldfastError, socketPath: string): HoldfastError {
  // A coordinator does not know the call; a time that ran out cancels it.
  if (error.code !== 'INTERNAL' && error.code !== 'ABORTED') return error;
  const message = `${socketPath} does not give seats (${error.message})`;
  return new HoldfastError('COORDINATOR_UNAVAILABLE', message, "name the socket of this node's agent");
}
