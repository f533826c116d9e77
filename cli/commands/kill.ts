import type { Command } from 'commander';
import { addJson, addSocket, type JsonOption, type SocketOption, withConnection } from '../options';
import { printJson } from '../output/terminal';
import { parseSignal } from '../values';

interface KillOptions extends SocketOption, JsonOption {
  readonly signal: number;
}

const HELP = `
Examples:
  holdfast kill JOB
  holdfast kill JOB --signal KILL

Exit codes:
  0 the signal was sent; 3 no such job; 5 it has ended; others: see holdfast(1), EXIT STATUS`;

async function kill(job: string, options: KillOptions): Promise<void> {
  await withConnection(options, async (connection) => {
    await connection.call('killJob', { job, signal: options.signal });
    if (options.json) printJson({ job, signal: options.signal });
  });
}

export function addKill(program: Command): void {
  const command = program
    .command('kill')
    .summary('send a signal to a job')
    .description('Sends a signal to all processes of a job, on all its nodes.')
    .argument('<job>', 'job id')
    .option('-s, --signal <signal>', 'name or number of the signal (default: TERM)', parseSignal, 15)
    .addHelpText('after', HELP);
  addSocket(addJson(command)).action(kill);
}
