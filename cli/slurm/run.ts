/** `holdfast run` inside of a Slurm job: the command lives in the step that this process is a task of. */
import { basename } from 'node:path';
import { seatOf } from '../../core/slurm/names';
import { withConnection } from '../options';
import type { RunOptions } from '../run/options';
import { commandKey, type SlurmEnvironment } from './environment';
import { runSeated } from './job';
import { refuseLauncher, refuseOptions } from './refuse';
import { agentSocket, takeSeat } from './seat';

/** Returns the exit code. */
export async function runInSlurm(
  argv: string[],
  options: RunOptions,
  slurm: SlurmEnvironment,
): Promise<number> {
  refuseOptions(options);
  refuseLauncher(argv, slurm);
  return withConnection(options, async (connection) => {
    const seat = await takeSeat(agentSocket(connection), seatOf(slurm));
    try {
      const command = {
        argv,
        name: options.name ?? basename(argv[0] ?? ''),
        key: commandKey(argv, process.cwd(), slurm),
        nodes: [seat.node],
        environment: process.env,
      };
      return await runSeated(connection, command, options, slurm);
    } finally {
      seat.release();
    }
  });
}
