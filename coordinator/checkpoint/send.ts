/** The command of each phase, and what is kept of its result. */
import { generationPrefix } from '../../core/manifest';
import { LiveMode } from '../../proto/gen/holdfast/v1/manifest';
import type { Context } from '../context';
import type { OperationRecord } from '../state/operations';
import { TIMEOUTS_MS } from '../timeouts';
import type { Gathered } from './gathered';
import type { NodePhase } from './machine';

/** @throws HoldfastError as Fleet.command */
export async function sendPhase(
  context: Context,
  record: OperationRecord,
  phase: NodePhase,
  node: string,
  gathered: Gathered,
): Promise<{ isBlocked: boolean }> {
  const { fleet } = context;
  const { operation, request } = record;
  const { job, generation, epoch } = operation;
  switch (phase) {
    case 'PREPARE': {
      const timeoutMs = TIMEOUTS_MS.prepare;
      const value = {
        peerAddresses: gathered.peerAddresses,
        keyPrefix: generationPrefix(job, generation, epoch),
        ...gathered.base,
        // The snapshots of a tree that is ended would end with it.
        live: request.kind === 'checkpoint' && !request.stop ? request.live : LiveMode.NEVER,
      };
      const result = await fleet.command(node, { $case: 'prepare', value }, operation, { timeoutMs });
      gathered.prepared(node, result);
      return { isBlocked: result.blockers.length > 0 };
    }
    case 'CAPTURE': {
      const timeoutMs = TIMEOUTS_MS.capture;
      await fleet.command(node, { $case: 'capture', value: {} }, operation, { timeoutMs });
      break;
    }
    case 'RELEASE': {
      const value = { kill: request.kind === 'checkpoint' && request.stop };
      const timeoutMs = TIMEOUTS_MS.release;
      const result = await fleet.command(node, { $case: 'release', value }, operation, { timeoutMs });
      gathered.released(result);
      break;
    }
    case 'UPLOAD': {
      const timeoutMs = TIMEOUTS_MS.upload;
      const result = await fleet.command(node, { $case: 'upload', value: {} }, operation, { timeoutMs });
      gathered.uploaded(node, result);
      break;
    }
    case 'ABORT': {
      const value = { reason: operation.error?.message ?? 'aborted' };
      await fleet.command(node, { $case: 'abort', value }, operation, { timeoutMs: TIMEOUTS_MS.abort });
      break;
    }
  }
  return { isBlocked: false };
}
