/** Every subcommand's options and help, parsed in this process: nothing here gets as far as doing something. */

import type { Command } from 'commander';
import { buildProgram, runProgram } from '../../../cli/program';

test.each([
  [['nonsense'], /unknown command 'nonsense'/],
  [['jobs', '--nonsense'], /unknown option '--nonsense'/],
  [['jobs', 'extra'], /too many arguments/],
  [['checkpoint'], /missing required argument 'job\|pid'/],
  [['run'], /missing required argument 'command'/],
  [['run', '--every', 'soon', '--', 'true'], /--every: "soon" is not a duration/],
  [['run', '--every', '0', '--', 'true'], /--every: "0" is not an interval/],
  [['run', '--restart', 'maybe', '--', 'true'], /--restart: "maybe" is not one of never, same, any/],
  [['run', '--node', 'a', '--nodes', 'a,b', '--', 'true'], /--node and --nodes/],
  [['kill', 'j', '--signal', 'NOPE'], /--signal: "NOPE" is not a signal/],
  [['restart', '1', '--nodes', 'a,,b'], /--nodes: "a,,b" is not a list of names/],
  [['catalog'], /a subcommand is missing/],
  [['ca', 'issue', 'n1', '--role', 'king', '--dir', '.'], /--role: "king" is not one of/],
  [['completion', 'tcsh'], /"tcsh" is not one of bash, zsh, fish/],
  [['agent', '--store', 'file:///x'], /agent setting coordinator: is required/],
  [['agent', '--coordinator', 'nowhere'], /--coordinator: "nowhere" is not an address/],
  [['agent', '--memory-budget', 'lots'], /--memory-budget: "lots" is not a size/],
  [['coordinator', '--lease', 'long'], /--lease: "long" is not a duration/],
])('%j is refused', async (words, message) => {
  await expect(runProgram(words)).rejects.toMatchObject({
    code: 'INVALID_ARGUMENT',
    message: expect.stringMatching(message),
  });
});

function leaves(command: Command, path: string[] = []): { path: string; command: Command }[] {
  const own = { path: path.join(' '), command };
  const below = command.commands.filter((child) => child.name() !== '__complete');
  return [
    ...(path.length > 0 ? [own] : []),
    ...below.flatMap((child) => leaves(child, [...path, child.name()])),
  ];
}

test.each(leaves(buildProgram()))('$path has help with examples and exit codes', ({ command }) => {
  let help = '';
  command.configureOutput({ writeOut: (text) => (help += text) }).outputHelp();
  expect(help).toMatch(/\nExamples?:\n/);
  expect(help).toMatch(/\nExit codes:\n/);
  for (const option of command.options) expect(option.description).not.toBe('');
});
