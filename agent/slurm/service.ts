/** What the agent does for Slurm: hears its hooks, tells the coordinator, and has plain tasks tracked. */
import { join } from 'node:path';
import type { Logger } from 'pino';
import { KEEP_ALL } from '../../core/retention';
import { invoke } from '../../core/rpc/handlers';
import { identityMetadata } from '../../core/rpc/identity';
import type { Peer } from '../../core/rpc/localSocket';
import { serveHooks } from '../../core/slurm/hooks';
import { type HookMessage, isOfNode, isOfStep, isOfTask } from '../../core/slurm/message';
import type { SlurmOptions } from '../../core/slurm/options';
import type { CoordinatorServiceClient } from '../../proto/gen/holdfast/v1/coordinator';
import { SlurmReports } from './reports';
import { runsOwnProgram, taskStart } from './tasks';

const CALL_MS = 60_000;

export interface SlurmParts {
  readonly node: string;
  readonly runDirectory: string;
  /** Of the coordinator that leads. */
  readonly client: () => CoordinatorServiceClient;
  readonly peerCredentials: (fd: number) => Peer;
  readonly log: Logger;
}

export interface SlurmService {
  close(): Promise<void>;
}

export async function openSlurm(parts: SlurmParts): Promise<SlurmService> {
  const { client, log, node, peerCredentials, runDirectory } = parts;
  const options = (uid: number, gid: number) => ({
    metadata: identityMetadata({ pid: process.pid, uid, gid, node }),
    timeoutMs: CALL_MS,
  });
  const reports = new SlurmReports({
    directory: runDirectory,
    log,
    send: async (records) => {
      const leader = client();
      await invoke(leader, leader.reportSlurmJobs, { records }, options(0, 0));
    },
  });
  /** As the task's user: the coordinator checks whose process it is. */
  const track = async (message: HookMessage, { uid, gid }: Peer, wanted: SlurmOptions): Promise<void> => {
    const { jobId, taskPid: pid } = message;
    if (!(await runsOwnProgram(pid))) return;
    const { every, keep } = wanted;
    const request = {
      ...{ node, pid, name: `slurm-${jobId}` },
      ...{ intervalMs: typeof every === 'number' ? every : 0, adaptive: every === 'auto' },
      retention: keep === undefined ? undefined : { ...KEEP_ALL, keepLast: keep },
    };
    const leader = client();
    const { job } = await invoke(leader, leader.trackProcess, request, options(uid, gid));
    log.info({ slurmJob: jobId, pid, job: job?.id }, 'task of a plain step is tracked');
  };
  const hooks = await serveHooks({
    socketPath: join(runDirectory, 'hooks.sock'),
    ...{ peerCredentials, log },
    // Root's speak for the node; a task's speak for their user.
    mayTell: (message, { uid }) => isOfTask(message) || (uid === 0 && isOfNode(message)),
    heard: (message, peer) => {
      reports.heard(message);
      if (message.event !== 'task-prolog' || !isOfStep(message) || message.taskPid === 0) return '';
      const { lines, options: wanted } = taskStart(message);
      if (wanted !== null)
        track(message, peer, wanted).catch((err) =>
          log.warn({ err, slurmJob: message.jobId, pid: message.taskPid }, 'a task is not tracked'),
        );
      return lines;
    },
  });
  return {
    close: async () => {
      reports.close();
      await hooks.close();
    },
  };
}
