import type { Command } from 'commander';
import type { Connection } from '../client/connection';
import { bashScript } from '../completion/bash';
import { fishScript } from '../completion/fish';
import { modelCommand } from '../completion/model';
import { zshScript } from '../completion/zsh';
import { type SocketOption, withConnection } from '../options';
import { print } from '../output/terminal';
import { parseChoice } from '../values';

const SCRIPTS = { bash: bashScript, zsh: zshScript, fish: fishScript } as const;
const SHELLS = Object.keys(SCRIPTS) as (keyof typeof SCRIPTS)[];

const HELP = `
Examples:
  source <(holdfast completion bash)
  holdfast completion zsh > ~/.zfunc/_holdfast
  holdfast completion fish > ~/.config/fish/completions/holdfast.fish

Exit codes:
  0; 2 there is no completion for that shell`;

/** A shell waits for this at every press of the key. */
const IDS_TIMEOUT_MS = 2000;

const IDS = {
  jobs: async (connection: Connection) => {
    const { jobs } = await connection.call('listJobs', { all: true }, { timeoutMs: IDS_TIMEOUT_MS });
    return jobs.map((job) => job.id);
  },
  checkpoints: async (connection: Connection) => {
    const { checkpoints } = await connection.call(
      'listCheckpoints',
      { job: '' },
      { timeoutMs: IDS_TIMEOUT_MS },
    );
    return checkpoints.map((checkpoint) => String(checkpoint.ckptId));
  },
  nodes: async (connection: Connection) => {
    const { nodes } = await connection.call('listNodes', {}, { timeoutMs: IDS_TIMEOUT_MS });
    return nodes.map((node) => node.name);
  },
} as const;

/** Shells expand the words they are offered; nothing that they could take for a command may reach them. */
const isPlain = (id: string) => /^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(id);

async function complete(kinds: string[], options: SocketOption): Promise<void> {
  const parse = parseChoice(Object.keys(IDS) as (keyof typeof IDS)[]);
  await withConnection(options, async (connection) => {
    for (const kind of kinds.map(parse)) {
      for (const id of (await IDS[kind](connection)).filter(isPlain)) print(id);
    }
  });
}

export function addCompletion(program: Command): void {
  program
    .command('completion')
    .summary('print a completion script for a shell')
    .description(
      'Prints a script that completes subcommands, options and the ids of jobs, checkpoints and nodes.',
    )
    .argument('<bash|zsh|fish>', 'the shell', parseChoice(SHELLS))
    .addHelpText('after', HELP)
    .action((shell: keyof typeof SCRIPTS) => {
      process.stdout.write(SCRIPTS[shell](modelCommand(program)));
    });
  program
    .command('__complete', { hidden: true })
    .argument('<kinds...>', 'jobs, checkpoints, nodes')
    .option('--socket <path>')
    .action((kinds: string[], options: SocketOption) =>
      complete(kinds, { socket: options.socket ?? process.env.HOLDFAST_SOCKET }),
    );
}
