import type { Command } from 'commander';
import { VERSION } from '../../core/version';
import { addJson, type JsonOption } from '../options';
import { print, printJson } from '../output/terminal';

const HELP = `
Example:
  holdfast version --json

Exit codes:
  0`;

export function addVersion(program: Command): void {
  const command = program
    .command('version')
    .summary('print the version')
    .description('Prints the version of holdfast.')
    .addHelpText('after', HELP);
  addJson(command).action((options: JsonOption) => {
    if (options.json) printJson({ version: VERSION, node: process.version });
    else print(`holdfast ${VERSION}`);
  });
}
