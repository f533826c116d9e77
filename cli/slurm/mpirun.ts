/** `holdfast mpirun`: a seat on every node of the Slurm job, and mpirun in the first one. */
import { seatOf } from '../../core/slurm/names';
import { hostNames } from '../../core/slurm/scontrol';
import { withConnection } from '../options';
import type { MpirunOptions } from '../run/options';
import { takeAllocation } from './allocation';
import { commandKey, type SlurmEnvironment } from './environment';
import { runSeated } from './job';
import { detectLauncher, launcherCommand, launcherVariables } from './launcher';
import { agentSocket, takeSeat } from './seat';

/** Returns the exit code. */
export async function mpirunInSlurm(
  args: string[],
  options: MpirunOptions,
  slurm: SlurmEnvironment,
): Promise<number> {
  const launcher = await detectLauncher(options.mpirun);
  const names = slurm.nodeList === '' ? [] : await hostNames(slurm.nodeList);
  const hosts = names.map((name, i) => ({ name, slots: slurm.tasksPerNode[i] ?? 1 }));
  return withConnection(options, async (connection) => {
    let heed: (signal: number) => void = () => undefined;
    const seats = await takeSeats(agentSocket(connection), slurm, (signal) => heed(signal));
    try {
      const command = {
        argv: launcherCommand(launcher, options.mpirun, args, hosts),
        name: options.name ?? 'mpirun',
        // Hosts are others in each run of the script.
        key: commandKey(['mpirun', ...args], process.cwd(), slurm),
        nodes: seats.nodes,
        environment: { ...process.env, ...launcherVariables },
        onSignalled: (listener: (signal: number) => void) => {
          heed = listener;
        },
      };
      return await runSeated(connection, command, options, slurm);
    } finally {
      await seats.release();
    }
  });
}

/** On one node this process's own will do. */
async function takeSeats(socketPath: string, slurm: SlurmEnvironment, onSignal: (signal: number) => void) {
  if (slurm.nodeCount > 1) return takeAllocation(seatOf(slurm), slurm.nodeCount, onSignal);
  const { node, release } = await takeSeat(socketPath, seatOf(slurm));
  return { nodes: [node], release: async () => release() };
}
