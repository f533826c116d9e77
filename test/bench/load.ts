/** The jobs of a simulated cluster: their sizes, and their start through the coordinator's API. */
import type { Connection } from '../../cli/client/connection';
import { JobSpec } from '../../proto/gen/holdfast/v1/manifest';
import { nodeName } from '../simulator/names';

const LEAST_NODES = 5;
const MOST_NODES = 500;
const AGENTS_PER_JOB = 5;
/** A launcher starts the daemons of its job together. */
const LAUNCHES_AT_ONCE = 32;
/** What a user's shell and a batch system leave in the environment of a job. */
const VARIABLES = 60;
const ENVIRONMENT = Object.fromEntries(
  Array.from({ length: VARIABLES }, (_, i) => [`SIMULATED_VARIABLE_${i}`, 'value '.repeat(6).trim()]),
);

/**
 * Nodes of each job: as many jobs between 5 and 10 nodes as between 50 and 100, the largest with 500 or half of the cluster. Pure.
 */
export function jobSizes(agents: number): number[] {
  const count = Math.max(2, Math.floor(agents / AGENTS_PER_JOB));
  const most = Math.min(MOST_NODES, Math.floor(agents / 2));
  return Array.from({ length: count }, (_, i) =>
    Math.round(LEAST_NODES * (most / LEAST_NODES) ** (i / (count - 1))),
  );
}

/** Nodes of each job: one job begins where the one before ended, so all nodes have about as many trees. Pure. */
export function placements(sizes: readonly number[], agents: number): string[][] {
  let next = 0;
  return sizes.map((size) =>
    Array.from({ length: size }, () => {
      const name = nodeName(next);
      next = (next + 1) % agents;
      return name;
    }),
  );
}

/** Large and small ones in turn. Pure. */
export function interleaved<T>(sorted: readonly T[]): T[] {
  const half = Math.ceil(sorted.length / 2);
  return Array.from({ length: half }, (_, i) => [sorted[i], sorted[half + i]])
    .flat()
    .filter((one) => one !== undefined);
}

/** Returns when all of its trees run. */
export async function startJob(
  connection: Connection,
  nodes: readonly string[],
  intervalMs: number,
): Promise<void> {
  const [first = '', ...others] = nodes;
  const spec = JobSpec.fromPartial({
    ...{ argv: ['simulated'], workingDirectory: '/', environment: ENVIRONMENT },
    ...{ uid: 1000, gid: 1000, nodes: [first], intervalMs },
  });
  const { job } = await connection.call('submitJob', { spec, resume: '' });
  const hosts = others.values();
  const launcher = async () => {
    for (const host of hosts) {
      const member = { argv: ['orted'], environment: {}, workingDirectory: '' };
      await connection.call('launchMember', { job: job?.id ?? '', host, ...member });
    }
  };
  await Promise.all(Array.from({ length: LAUNCHES_AT_ONCE }, launcher));
}
