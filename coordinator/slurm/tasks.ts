/** Tasks of a Slurm job on all nodes: each node says what it finds there now. */
import { HoldfastError, toHoldfastError } from '../../core/errors';
import type { SlurmProcess, SlurmSelection } from '../../proto/gen/holdfast/v1/agent';
import type { ListSlurmTasksResponse, SilentNode } from '../../proto/gen/holdfast/v1/coordinator';
import { type Caller, mayAct } from '../api/authorize';
import type { Context } from '../context';
import { TIMEOUTS_MS } from '../timeouts';

/** A node with more is not believed. */
const MAX_OF_NODE = 10_000;
const MAX_TEXT = 1_000;

/**
 * Which nodes a Slurm job has, nobody need have told: all that are alive are asked. What belongs to others is left out.
 * @throws HoldfastError INVALID_ARGUMENT
 */
export async function listSlurmTasks(
  { fleet }: Context,
  caller: Caller,
  selection: SlurmSelection | undefined,
): Promise<ListSlurmTasksResponse> {
  if (selection === undefined || selection.jobId < 1)
    throw new HoldfastError('INVALID_ARGUMENT', 'no Slurm job was named');
  const silent: SilentNode[] = [];
  const scope = { job: '', generation: 0, epoch: 0 };
  const body = { $case: 'discoverSlurm', value: { selection } } as const;
  const options = { timeoutMs: TIMEOUTS_MS.discoverSlurm };
  const ask = async (node: string): Promise<SlurmProcess[]> => {
    try {
      const { processes } = await fleet.command(node, body, scope, options);
      return processes.slice(0, MAX_OF_NODE).map((process) => ({ ...clipped(process), node }));
    } catch (thrown) {
      silent.push({ node, reason: toHoldfastError(thrown).message });
      return [];
    }
  };
  const nodes = fleet.nodes();
  for (const { name } of nodes.filter(({ alive }) => !alive))
    silent.push({ node: name, reason: `node ${name} is not connected` });
  const found = await Promise.all(nodes.filter(({ alive }) => alive).map(({ name }) => ask(name)));
  return {
    processes: found.flat().filter(({ uid }) => mayAct(caller, 'listSlurmTasks', uid)),
    silent: silent.sort((a, b) => (a.node < b.node ? -1 : 1)),
  };
}

function clipped(process: SlurmProcess): SlurmProcess {
  const { command, job, name, refusal, step } = process;
  const clip = (text: string): string => text.slice(0, MAX_TEXT);
  return {
    ...process,
    ...{ command: clip(command), job: clip(job), name: clip(name), refusal: clip(refusal), step: clip(step) },
  };
}
