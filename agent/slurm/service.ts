/** What the agent does for Slurm: hears its hooks, tells the coordinator, and has plain tasks tracked. */
import { join } from 'node:path';
import type { Logger } from 'pino';
import { invoke } from '../../core/rpc/handlers';
import { identityMetadata } from '../../core/rpc/identity';
import type { Peer } from '../../core/rpc/localSocket';
import { serveHooks } from '../../core/slurm/hooks';
import { isOfNode, isOfStep, isOfTask } from '../../core/slurm/message';
import type { CoordinatorServiceClient } from '../../proto/gen/holdfast/v1/coordinator';
import type { Tree } from '../trees';
import { discover } from './discovery/discover';
import { watchTasks } from './discovery/watch';
import { SlurmReports } from './reports';
import { taskStart, trackTask } from './tasks';
import { Tracker } from './tracker';

const CALL_MS = 60_000;

export interface SlurmParts {
  readonly node: string;
  readonly runDirectory: string;
  /** Of the coordinator that leads. */
  readonly client: () => CoordinatorServiceClient;
  readonly peerCredentials: (fd: number) => Peer;
  readonly log: Logger;
  /** That live on this node. */
  readonly trees: () => readonly Tree[];
}

export interface SlurmService {
  close(): Promise<void>;
}

export async function openSlurm(parts: SlurmParts): Promise<SlurmService> {
  const { client, log, node, peerCredentials, runDirectory, trees } = parts;
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
  const tracker = new Tracker({
    ...{ node, log },
    track: async (request, uid, gid) => {
      const leader = client();
      return (await invoke(leader, leader.trackProcess, request, options(uid, gid))).job?.id ?? '';
    },
  });
  const watching = watchTasks(() => discover(trees()), tracker, log);
  const hooks = await serveHooks({
    socketPath: join(runDirectory, 'hooks.sock'),
    ...{ peerCredentials, log },
    // Root's speak for the node; a task's speak for their user.
    mayTell: (message, { uid }) => isOfTask(message) || (uid === 0 && isOfNode(message)),
    heard: (message, peer) => {
      reports.heard(message);
      if (message.event !== 'task-prolog' || !isOfStep(message) || message.taskPid === 0) return '';
      const { lines, options: wanted } = taskStart(message);
      if (wanted !== null) void trackTask(message, peer, wanted, tracker);
      return lines;
    },
  });
  return {
    close: async () => {
      watching();
      reports.close();
      await hooks.close();
    },
  };
}
