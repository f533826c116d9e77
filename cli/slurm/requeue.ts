/** Has Slurm run the script again, at once. */
import { setTimeout as delay } from 'node:timers/promises';
import type * as Grpc from '@grpc/grpc-js';
import { toHoldfastError } from '../../core/errors';
import type * as Rpc from '../../core/rpc/handlers';
import type * as Generated from '../../proto/gen/holdfast/v1/agent';
import { note } from '../output/terminal';

/** Slurm ends this process, with its step, soon after. */
const END_MS = 60_000;

/** Returns only when Slurm did not do it. */
export async function requeue(socketPath: string, seat: string): Promise<void> {
  const grpc = require('@grpc/grpc-js') as typeof Grpc;
  const { SeatServiceClient } = require('../../proto/gen/holdfast/v1/agent') as typeof Generated;
  const { invoke } = require('../../core/rpc/handlers') as typeof Rpc;
  const client = new SeatServiceClient(`unix:${socketPath}`, grpc.credentials.createInsecure());
  try {
    await invoke(client, client.requeue, { seat }, { metadata: new grpc.Metadata(), timeoutMs: END_MS });
    await delay(END_MS);
    note('Slurm has not ended this run of the job');
  } catch (thrown) {
    note(`the Slurm job could not be requeued: ${toHoldfastError(thrown).message}`);
  } finally {
    client.close();
  }
}
