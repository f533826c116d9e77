/** The command tree. Building it is cheap: what a subcommand needs is loaded when it runs. */

import { Command, CommanderError } from 'commander';
import { HoldfastError } from '../core/errors';
import { VERSION } from '../core/version';
import type * as Agent from './commands/agent';
import type * as Ca from './commands/ca';
import type * as Catalog from './commands/catalog';
import type * as Checkpoint from './commands/checkpoint';
import type * as Checkpoints from './commands/checkpoints';
import type * as Completion from './commands/completion';
import type * as Config from './commands/config';
import type * as Coordinator from './commands/coordinator';
import type * as Drain from './commands/drain';
import type * as Export from './commands/export';
import type * as Gc from './commands/gc';
import type * as Import from './commands/import';
import type * as Info from './commands/info';
import type * as Jobs from './commands/jobs';
import type * as Kill from './commands/kill';
import type * as Mpirun from './commands/mpirun';
import type * as Nodes from './commands/nodes';
import type * as Restart from './commands/restart';
import type * as Retention from './commands/retention';
import type * as Rsh from './commands/rsh';
import type * as Run from './commands/run';
import type * as Slurm from './commands/slurm';
import type * as Undrain from './commands/undrain';
import type * as Usage from './commands/usage';
import type * as Version from './commands/version';
import { nameOptions } from './options';

/** In the order of the help. One that is called is loaded alone: MPI launchers and scripts wait for each start. */
const COMMANDS: Readonly<Record<string, () => (program: Command) => void>> = {
  run: () => (require('./commands/run') as typeof Run).addRun,
  mpirun: () => (require('./commands/mpirun') as typeof Mpirun).addMpirun,
  checkpoint: () => (require('./commands/checkpoint') as typeof Checkpoint).addCheckpoint,
  restart: () => (require('./commands/restart') as typeof Restart).addRestart,
  jobs: () => (require('./commands/jobs') as typeof Jobs).addJobs,
  checkpoints: () => (require('./commands/checkpoints') as typeof Checkpoints).addCheckpoints,
  info: () => (require('./commands/info') as typeof Info).addInfo,
  nodes: () => (require('./commands/nodes') as typeof Nodes).addNodes,
  drain: () => (require('./commands/drain') as typeof Drain).addDrain,
  undrain: () => (require('./commands/undrain') as typeof Undrain).addUndrain,
  kill: () => (require('./commands/kill') as typeof Kill).addKill,
  export: () => (require('./commands/export') as typeof Export).addExport,
  import: () => (require('./commands/import') as typeof Import).addImport,
  retention: () => (require('./commands/retention') as typeof Retention).addRetention,
  gc: () => (require('./commands/gc') as typeof Gc).addGc,
  usage: () => (require('./commands/usage') as typeof Usage).addUsage,
  slurm: () => (require('./commands/slurm') as typeof Slurm).addSlurm,
  catalog: () => (require('./commands/catalog') as typeof Catalog).addCatalog,
  agent: () => (require('./commands/agent') as typeof Agent).addAgent,
  coordinator: () => (require('./commands/coordinator') as typeof Coordinator).addCoordinator,
  config: () => (require('./commands/config') as typeof Config).addConfigCommand,
  ca: () => (require('./commands/ca') as typeof Ca).addCa,
  rsh: () => (require('./commands/rsh') as typeof Rsh).addRsh,
  completion: () => (require('./commands/completion') as typeof Completion).addCompletion,
  version: () => (require('./commands/version') as typeof Version).addVersion,
};

const HELP = `
Examples:
  holdfast run --every 10m --nodes n1,n2 -- mpirun -np 64 ./simulate
  holdfast checkpoint JOB
  holdfast restart JOB

Environment:
  HOLDFAST_SOCKET  UNIX socket to call (default: /run/holdfast/agent.sock, then coordinator.sock there)
  NO_COLOR         no colours

On a machine without an agent: --coordinator HOST:PORT --auth munge.

Every subcommand has --help with examples and exit codes. Errors are told as "holdfast: CODE: message" on stderr,
as JSON with --json.`;

/** @param only the one command that is going to run; without it, all */
export function buildProgram(only?: string): Command {
  const program = new Command('holdfast')
    .description(
      'Checkpoints MPI and batch jobs while they run, and restarts them on the nodes that are left.',
    )
    .version(`holdfast ${VERSION}`, '-V, --version', 'print the version')
    .enablePositionalOptions()
    // Subcommands inherit both: the end of parsing and its errors are ours to tell.
    .exitOverride()
    .configureOutput({ writeErr: () => undefined })
    .addHelpText('after', HELP);
  // Completion tells of all the others.
  const isAlone = only !== undefined && only !== 'completion' && Object.hasOwn(COMMANDS, only);
  const wanted = isAlone ? [only] : Object.keys(COMMANDS);
  for (const name of wanted) COMMANDS[name]?.()(program);
  nameOptions(program);
  return program;
}

/** Parses and runs. @throws HoldfastError, also for a command line that is not valid */
export async function runProgram(words: readonly string[]): Promise<void> {
  const program = buildProgram(words[0]);
  if (words.length === 0) {
    program.outputHelp();
    throw new HoldfastError('INVALID_ARGUMENT', 'no subcommand was given', 'choose one of the above');
  }
  try {
    await program.parseAsync(words, { from: 'user' });
  } catch (thrown) {
    if (!(thrown instanceof CommanderError)) throw thrown;
    if (thrown.exitCode === 0) return;
    const [name] = words.filter((word) => !word.startsWith('-'));
    const known = program.commands.some((command) => command.name() === name);
    throw new HoldfastError(
      'INVALID_ARGUMENT',
      thrown.message.replace(/^error: /, '').replace('(outputHelp)', 'a subcommand is missing'),
      `see \`holdfast ${known ? `${name} ` : ''}--help\``,
    );
  }
}
