/**
 * The Slurm jobs that this node has heard of, as records for the coordinator. Pure: what an event makes of what was known.
 */

import type { HookMessage } from '../../core/slurm/message';
import { SlurmRecord } from '../../proto/gen/holdfast/v1/coordinator';

/** By keyOf(): a requeued job is another run. */
export type Register = ReadonlyMap<string, SlurmRecord>;

export const keyOf = ({
  cluster,
  jobId,
  restartCount,
}: Pick<SlurmRecord, 'cluster' | 'jobId' | 'restartCount'>): string => `${cluster}/${jobId}/${restartCount}`;

/** null: nothing changes. */
export function recordAfter(known: Register, message: HookMessage, nowMs: number): SlurmRecord | null {
  const { cluster, event, jobId, missedMs, nodeList, restartCount, uid, user } = message;
  const before = known.get(keyOf(message)) ?? SlurmRecord.fromPartial({ cluster, jobId, restartCount });
  const timeMs = missedMs ?? nowMs;
  const record = {
    ...before,
    heardMs: timeMs,
    ...(uid > 0 ? { uid } : {}),
    ...(user === '' ? {} : { user }),
    ...(nodeList === '' ? {} : { nodeList }),
  };
  switch (event) {
    case 'prolog':
      if (missedMs === undefined) return { ...record, registeredMs: timeMs };
      // The agent may have read it all the same, later than the hook waited.
      return { ...record, untracked: `its prolog was not heard: ${message.why}` };
    case 'epilog': {
      const isUnheard = record.registeredMs === 0 && record.untracked === '';
      return {
        ...record,
        endedMs: timeMs,
        ...(isUnheard
          ? { untracked: 'its prolog was not heard: no agent ran, or the site has no hooks' }
          : {}),
      };
    }
    default:
      return null;
  }
}
