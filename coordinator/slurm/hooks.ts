/**
 * Hooks of slurmctld speak to the coordinator on a socket of their own, where both run on one machine. They say that there is something to
 * ask Slurm about (T6); what they say themselves is for `holdfast slurm jobs` only.
 */
import { dirname, join } from 'node:path';
import type { Logger } from '../../core/log';
import type { LocalServer, Peer } from '../../core/rpc/localSocket';
import { serveHooks } from '../../core/slurm/hooks';
import { type HookMessage, isOfController } from '../../core/slurm/message';
import { SlurmRecord } from '../../proto/gen/holdfast/v1/coordinator';
import type { Context } from '../context';
import type { SlurmFollower } from './follow';

export const CONTROLLER_SOCKET = 'slurmctld.sock';

export interface ControllerHooksParts {
  readonly toolsSocket: string;
  readonly peerCredentials: (fd: number) => Peer;
  readonly log: Logger;
  /** null: this coordinator does not lead. The one that does asks Slurm itself. */
  readonly leading: () => { readonly context: Context; readonly slurm: SlurmFollower | null } | null;
}

/** @throws HoldfastError WRONG_STATE when another process serves the socket */
export function serveControllerHooks(parts: ControllerHooksParts): Promise<LocalServer> {
  const { toolsSocket, peerCredentials, log, leading } = parts;
  return serveHooks({
    socketPath: join(dirname(toolsSocket), CONTROLLER_SOCKET),
    ...{ peerCredentials, log },
    // The kernel says who it is; Slurm itself says whom it runs its hooks as.
    mayTell: (message, { uid }) =>
      isOfController(message) && (uid === 0 || uid === leading()?.slurm?.site()?.uid),
    heard: (message) => {
      const leader = leading();
      if (leader === null) return '';
      const { clock, slurm } = leader.context;
      slurm
        .update(ofController(message), (known) => recordAfter(known, message, clock.wallMs()))
        .catch((err) => log.error({ err }, 'a Slurm job is not on record'));
      leader.slurm?.look();
      return '';
    },
  });
}

/** Of the job as a whole: no node's. */
const ofController = ({ cluster, jobId, restartCount }: HookMessage): SlurmRecord =>
  SlurmRecord.fromPartial({ cluster, jobId, restartCount });

/** Pure. */
export function recordAfter(known: SlurmRecord, message: HookMessage, nowMs: number): SlurmRecord {
  const { event, nodeList, uid, user } = message;
  const record = {
    ...{ ...known, heardMs: nowMs },
    ...(uid > 0 ? { uid } : {}),
    ...(user === '' ? {} : { user }),
    ...(nodeList === '' ? {} : { nodeList }),
  };
  return event === 'prolog-slurmctld' ? { ...record, registeredMs: nowMs } : { ...record, endedMs: nowMs };
}
