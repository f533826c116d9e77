/** The documents name every subcommand, option, exit code and environment variable that there is. */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import { allCommands, modelCommand } from '../../../cli/completion/model';
import { buildProgram } from '../../../cli/program';
import { ERRORS } from '../../../core/errors';

const DOCS = join(__dirname, '..', '..', '..', 'docs');
const page = readFileSync(join(DOCS, 'cli.md'), 'utf8');
// In mdoc, `.Fl -json` is `--json`; the rest of a line may hold several.
const manual = readFileSync(join(DOCS, 'man', 'holdfast.1'), 'utf8').replace(/Fl -/g, '--');

const program = buildProgram();
const commands = allCommands(modelCommand(program)).filter((command) => command.path.length > 0);
const options = [...new Set(commands.flatMap((command) => command.options.map((option) => option.long)))];

function variables(command: Command): string[] {
  const own = command.options.flatMap((option) => option.envVar ?? []);
  return [...own, ...command.commands.flatMap(variables)];
}

const mentions = (text: string, words: string) =>
  new RegExp(`(^|[^\\w-])${words}($|[^\\w-])`, 'm').test(text);

test.each(commands.map((command) => command.path.join(' ')))('subcommand %s', (name) => {
  expect({ page: mentions(page, name), manual: mentions(manual, name) }).toEqual({
    page: true,
    manual: true,
  });
});

test.each(options)('option %s', (name) => {
  expect({ page: mentions(page, name), manual: mentions(manual, name) }).toEqual({
    page: true,
    manual: true,
  });
});

test.each([...new Set(variables(program))])('variable %s', (name) => {
  expect({ page: mentions(page, name), manual: mentions(manual, name) }).toEqual({
    page: true,
    manual: true,
  });
});

test.each([...new Set(Object.values(ERRORS).map((kind) => kind.exitCode))])('exit code %d', (code) => {
  expect(page).toMatch(new RegExp(`^\\| ${code} \\|`, 'm'));
  expect(manual).toMatch(new RegExp(`^\\.It ${code}$`, 'm'));
});
