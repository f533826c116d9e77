/** What a user means by JOB, PID or checkpoint ID. */

import { hostname } from 'node:os';
import { HoldfastError } from '../../core/errors';
import { type Job, TrackProcessRequest } from '../../proto/gen/holdfast/v1/coordinator';
import type { Connection } from '../client/connection';
import { hasEnded } from '../output/views';

export function isNumber(text: string): boolean {
  return /^[1-9]\d{0,15}$/.test(text) && Number.isSafeInteger(Number(text));
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** Names under which this machine is known: a pid means a process here, not its namesake on another node. */
async function localNodes(connection: Connection): Promise<string[]> {
  const { nodes } = await connection.call('listNodes', {});
  return nodes.filter((node) => node.facts?.hostname === hostname()).map((node) => node.name);
}

/** The job, not ended, that has the process as the root of one of its trees on one of the nodes. */
export function findJobOfRoot(jobs: readonly Job[], pid: number, nodes: readonly string[]): Job | undefined {
  return jobs.find(
    (job) => !hasEnded(job) && job.trees.some((tree) => tree.rootPid === pid && nodes.includes(tree.node)),
  );
}

async function trackPid(connection: Connection, pid: number): Promise<string> {
  const nodes = await localNodes(connection);
  const { jobs } = await connection.call('listJobs', { all: false });
  const known = findJobOfRoot(jobs, pid, nodes);
  if (known) return known.id;
  // Empty: the agent behind the socket knows its own name better than we do.
  const node = nodes.length === 1 ? (nodes[0] ?? '') : '';
  const { job } = await connection.call('trackProcess', TrackProcessRequest.fromPartial({ node, pid }));
  if (!job) throw new HoldfastError('INTERNAL', `process ${pid} was tracked but no job was named`);
  return job.id;
}

/**
 * The job id for JOB or PID; a process that belongs to no job becomes one.
 * @throws NOT_FOUND for a number that is no live process here
 */
export async function resolveJob(connection: Connection, subject: string): Promise<string> {
  if (!isNumber(subject)) return subject;
  const pid = Number(subject);
  if (isAlive(pid)) return trackPid(connection, pid);
  throw new HoldfastError(
    'NOT_FOUND',
    `there is no process ${pid} on this node`,
    'give the id of a job (`holdfast jobs`) or the pid of a process on this node',
  );
}
