import type { Command } from 'commander';
import { launchMember } from '../rsh/launch';

const HELP = `
Options of ssh before HOST are accepted and ignored, but -l and USER@ must name the caller. The job is taken
from HOLDFAST_JOB, which every process of a job has. MPI launchers call this when they are told so; jobs started by
\`holdfast run\` have it in their environment.

Examples:
  mpirun --mca plm_rsh_agent 'holdfast rsh' …          (Open MPI)
  mpiexec -launcher ssh -launcher-exec PREFIX/bin/holdfast-rsh …  (MPICH)

Exit codes:
  that of the command; 4 another user was asked for; 5 outside of a job;
  others: see holdfast(1), EXIT STATUS`;

/** main.ts goes to launchMember directly; this is for the help, and for completion. */
export function addRsh(program: Command): void {
  program
    .command('rsh')
    .summary('start a member of a job on another node (for MPI launchers)')
    .description('Runs a command on another node as a member of the job that it is called from.')
    .argument('<host>', 'node name or one of its addresses')
    .argument('<command...>', 'the command, for the shell of the other node')
    .allowUnknownOption()
    .passThroughOptions()
    .addHelpText('after', HELP)
    .action(async (host: string, command: string[]) => {
      process.exitCode = await launchMember([host, ...command]);
    });
}
