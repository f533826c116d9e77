/** What a Slurm cluster is configured with: text only. */

export interface SlurmSite {
  /** Where the daemons' state, spools and logs go; all nodes see it. */
  readonly directory: string;
  readonly controller: { readonly name: string; readonly address: string };
  readonly nodes: readonly { readonly name: string; readonly address: string }[];
  /** More lines of slurm.conf. */
  readonly extra?: readonly string[];
  /** There is a slurmdbd on the controller's machine. */
  readonly accounting?: boolean;
}

export const CPUS_PER_NODE = 4;
const NODE_MEMORY_MIB = 4000;
/** A pre-empted job's time between the notice and the signal. */
export const GRACE_SECONDS = 20;

/**
 * slurm.conf of a cluster with two partitions: jobs of `urgent` pre-empt those of `normal`, which are requeued. A node that is
 * lost is noticed within seconds.
 */
export function slurmConf({
  directory,
  controller,
  nodes,
  extra = [],
  accounting = false,
}: SlurmSite): string {
  const names = nodes.map(({ name }) => name).join(',');
  return lines([
    'ClusterName=test',
    `SlurmctldHost=${controller.name}(${controller.address})`,
    'SlurmUser=root',
    'SlurmdUser=root',
    'AuthType=auth/munge',
    `StateSaveLocation=${directory}/state`,
    `SlurmdSpoolDir=${directory}/spool/%n`,
    'SlurmctldPidFile=/run/slurmctld.pid',
    'SlurmdPidFile=/run/slurmd.pid',
    `SlurmctldLogFile=${directory}/slurmctld.log`,
    `SlurmdLogFile=${directory}/slurmd-%n.log`,
    'SlurmdDebug=verbose',
    'SlurmctldDebug=verbose',
    'ProctrackType=proctrack/cgroup',
    'TaskPlugin=task/cgroup',
    ...(accounting
      ? [
          ...['JobAcctGatherType=jobacct_gather/linux', 'JobAcctGatherFrequency=task=1'],
          ...[
            'AccountingStorageType=accounting_storage/slurmdbd',
            `AccountingStorageHost=${controller.name}`,
          ],
        ]
      : ['JobAcctGatherType=jobacct_gather/none', 'AccountingStorageType=accounting_storage/none']),
    'JobCompType=jobcomp/filetxt',
    `JobCompLoc=${directory}/jobcomp.log`,
    'SelectType=select/cons_tres',
    'SelectTypeParameters=CR_Core',
    'SchedulerType=sched/backfill',
    'SchedulerParameters=sched_interval=1,bf_interval=1,batch_sched_delay=1',
    'PreemptType=preempt/partition_prio',
    'PreemptMode=REQUEUE',
    'SwitchType=switch/none',
    'MpiDefault=none',
    'ReturnToService=2',
    'SlurmdTimeout=5',
    'MessageTimeout=3',
    'TCPTimeout=1',
    'SlurmctldTimeout=30',
    'InactiveLimit=0',
    'KillWait=2',
    'MinJobAge=600',
    'JobRequeue=1',
    'SlurmdParameters=config_overrides',
    ...extra,
    ...nodes.map(
      ({ name, address }) =>
        `NodeName=${name} NodeAddr=${address} CPUs=${CPUS_PER_NODE} RealMemory=${NODE_MEMORY_MIB} State=UNKNOWN`,
    ),
    `PartitionName=normal Nodes=${names} Default=YES PriorityTier=1 GraceTime=${GRACE_SECONDS} MaxTime=INFINITE State=UP`,
    `PartitionName=urgent Nodes=${names} PriorityTier=10 PreemptMode=OFF MaxTime=INFINITE State=UP`,
  ]);
}

/** @param name of the machine that it runs on, with its database */
export function slurmdbdConf({
  directory,
  name,
}: {
  readonly directory: string;
  readonly name: string;
}): string {
  return lines([
    'AuthType=auth/munge',
    `DbdHost=${name}`,
    'SlurmUser=root',
    'StorageType=accounting_storage/mysql',
    // By the socket of the machine itself.
    'StorageHost=localhost',
    'StorageLoc=slurm_acct_db',
    'StorageUser=root',
    'PidFile=/run/slurmdbd.pid',
    `LogFile=${directory}/slurmdbd.log`,
    'DebugLevel=info',
  ]);
}

export function cgroupConf(): string {
  return lines([
    'CgroupPlugin=cgroup/v1',
    'CgroupMountpoint=/sys/fs/cgroup',
    'CgroupAutomount=no',
    'ConstrainCores=no',
    'ConstrainRAMSpace=yes',
    'ConstrainDevices=no',
  ]);
}

/** A file like /etc/passwd or /etc/group with one line more. */
export const withLine = (text: string, line: string): string => `${text.trimEnd()}\n${line}\n`;

const lines = (list: readonly string[]): string => `${list.join('\n')}\n`;
