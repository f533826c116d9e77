/** What the coordinator has to know of the Slurm that it asks. Pure. */
import { type SlurmConfiguration, settingOf } from '../../core/slurm/configuration';

export interface SlurmSite {
  readonly cluster: string;
  /** Of SlurmUser, whose hooks run where slurmctld does. */
  readonly uid: number;
  /** How long a job that was requeued waits, whatever it was requeued for. */
  readonly requeueWaitMs: number;
  /** Slurm tells us of the jobs of all users: one that it does not tell of is not there. */
  readonly tellsAll: boolean;
}

/** Slurm's own: credentials of the run before must have expired. */
const DEFAULT_EXPIRE_S = 120;

/**
 * @param configuration as `scontrol show config` says it
 * @param ownUid who asks
 */
export function siteOf(configuration: SlurmConfiguration, ownUid: number): SlurmSite {
  const uid = Number(/\((\d+)\)$/.exec(settingOf(configuration, 'SlurmUser'))?.[1] ?? 0);
  const isPrivate = /(?:^|,)(jobs|all)(?:,|$)/i.test(settingOf(configuration, 'PrivateData'));
  const expire = /(?:^|,)cred_expire=(\d+)/.exec(settingOf(configuration, 'AuthInfo'))?.[1];
  return {
    cluster: settingOf(configuration, 'ClusterName') || 'cluster',
    uid,
    requeueWaitMs: (Number(expire ?? DEFAULT_EXPIRE_S) + 1) * 1000,
    tellsAll: !isPrivate || ownUid === 0 || ownUid === uid,
  };
}
