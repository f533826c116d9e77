/** What the coordinator has to know of the Slurm that it asks. Pure. */
import { type SlurmConfiguration, settingOf } from '../../core/slurm/configuration';

export interface SlurmSite {
  readonly cluster: string;
  /** Of SlurmUser, whose hooks run where slurmctld does. */
  readonly uid: number;
  /** How long a job that was requeued waits, whatever it was requeued for. */
  readonly requeueWaitMs: number;
}

/** Slurm's own: credentials of the run before must have expired. */
const DEFAULT_EXPIRE_S = 120;

/** @param configuration as `scontrol show config` says it */
export function siteOf(configuration: SlurmConfiguration): SlurmSite {
  const expire = /(?:^|,)cred_expire=(\d+)/.exec(settingOf(configuration, 'AuthInfo'))?.[1];
  return {
    cluster: settingOf(configuration, 'ClusterName') || 'cluster',
    uid: Number(/\((\d+)\)$/.exec(settingOf(configuration, 'SlurmUser'))?.[1] ?? 0),
    requeueWaitMs: (Number(expire ?? DEFAULT_EXPIRE_S) + 1) * 1000,
  };
}
