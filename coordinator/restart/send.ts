/** The command of each phase of a restart. */
import { HoldfastError } from '../../core/errors';
import type { HostedTree, Stage } from '../../proto/gen/holdfast/v1/agent';
import type { Operation } from '../../proto/gen/holdfast/v1/coordinator';
import type { Fleet } from '../sessions/fleet';
import { TIMEOUTS_MS } from '../timeouts';
import type { NodePhase } from './machine';

const SIGKILL = { signal: 9, belowIncarnation: 0 };

/**
 * @returns the trees that run now, after RESUME
 * @throws HoldfastError as Fleet.command
 */
export async function sendPhase(
  fleet: Fleet,
  operation: Operation,
  phase: NodePhase,
  node: string,
  stage: Stage | undefined,
): Promise<HostedTree[]> {
  switch (phase) {
    case 'KILL':
      await fleet.command(node, { $case: 'kill', value: SIGKILL }, operation, {
        timeoutMs: TIMEOUTS_MS.kill,
      });
      return [];
    case 'STAGE':
      if (stage === undefined) throw new HoldfastError('INTERNAL', `node ${node} has no part in the plan`);
      await fleet.command(node, { $case: 'stage', value: stage }, operation, {
        timeoutMs: TIMEOUTS_MS.stage,
      });
      return [];
    case 'RESTORE':
      await fleet.command(node, { $case: 'restore', value: {} }, operation, {
        timeoutMs: TIMEOUTS_MS.restore,
      });
      return [];
    case 'RESUME': {
      const options = { timeoutMs: TIMEOUTS_MS.resume };
      return (await fleet.command(node, { $case: 'resume', value: {} }, operation, options)).trees;
    }
    case 'ABORT': {
      const value = { reason: operation.error?.message ?? 'aborted' };
      await fleet.command(node, { $case: 'abort', value }, operation, { timeoutMs: TIMEOUTS_MS.abort });
      // A node that had resumed already holds nothing in flight any more, but trees that must not run.
      await fleet.command(node, { $case: 'kill', value: SIGKILL }, operation, {
        timeoutMs: TIMEOUTS_MS.kill,
      });
      return [];
    }
  }
}
