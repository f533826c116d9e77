import type { Command } from 'commander';
import { HoldfastError } from '../../core/errors';
import { addJson, addSocket } from '../options';
import { addJobOptions, type MpirunOptions } from '../run/options';
import { slurmEnvironment } from '../slurm/environment';
import { mpirunInSlurm } from '../slurm/mpirun';

const HELP = `
Takes the place of mpirun in a batch script: hosts and slots are those of the Slurm job, unless --host or a host file says
otherwise. Checkpoints are taken as cost and failures suggest, and before the time limit. When Slurm requeues the job, the
script goes on from the last one, on the nodes that it has then. Holdfast's own options come first.

Examples:
  holdfast mpirun -np 64 ./simulate
  holdfast mpirun --every 30m --keep 3 -np 64 ./simulate --steps 100000
  holdfast mpirun --resume auto ./simulate

Exit codes:
  that of mpirun; 8 when the job is lost, 13 when it was stopped at a checkpoint and Slurm does not run the script again;
  others: see holdfast(1), EXIT STATUS`;

export function addMpirun(program: Command): void {
  const command = program
    .command('mpirun')
    .summary('start an MPI job inside of a Slurm job')
    .description('Runs mpirun on all nodes of a Slurm job as a job that can be checkpointed and restarted.')
    .argument('<args...>', 'what mpirun gets')
    .allowUnknownOption()
    .passThroughOptions();
  addJobOptions(command)
    .option('--mpirun <program>', "Open MPI's or MPICH's launcher", 'mpirun')
    .addHelpText('after', HELP);
  addSocket(addJson(command)).action(async (args: string[], options: MpirunOptions) => {
    const slurm = slurmEnvironment(process.env);
    if (slurm === null) {
      const remedy = 'elsewhere use `holdfast run -- mpirun …`';
      throw new HoldfastError('WRONG_STATE', 'this is no Slurm job: SLURM_JOB_ID is not set', remedy);
    }
    process.exitCode = await mpirunInSlurm(args, options, slurm);
  });
}
