/** The completion scripts, run by the shells they are for (deploy/bootstrap installs them). */

import { execFile } from 'node:child_process';
import { chmodSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { bashScript } from '../../../cli/completion/bash';
import { fishScript } from '../../../cli/completion/fish';
import { allCommands, modelCommand } from '../../../cli/completion/model';
import { zshScript } from '../../../cli/completion/zsh';
import { buildProgram } from '../../../cli/program';
import { useCli } from './support/fixture';
import { JOB_ID, job, node, summary } from './support/messages';

const cli = useCli();
const PROJECT = join(__dirname, '..', '..', '..');
const execute = promisify(execFile);

/** A `holdfast` on the PATH, as the scripts expect. */
function environment(): Record<string, string> {
  const bin = join(cli.cwd, 'holdfast');
  writeFileSync(bin, `#!/bin/sh\nexec '${process.execPath}' '${cli.main}' "$@"\n`);
  chmodSync(bin, 0o755);
  return {
    PATH: `${cli.cwd}:${process.env.PATH}`,
    HOME: cli.cwd,
    HOLDFAST_SOCKET: cli.coordinator.socketPath,
  };
}

async function inShell(shell: string, script: string): Promise<string[]> {
  const { stdout } = await execute(shell, ['-c', script], { cwd: cli.cwd, env: environment() });
  return stdout.split('\n').filter(Boolean);
}

/** What bash offers for the last word of a line. */
function completeInBash(line: string): Promise<string[]> {
  const words = line.split(' ');
  return inShell(
    'bash',
    `source <(holdfast completion bash)
     COMP_WORDS=(${words.map((word) => `'${word}'`).join(' ')}) COMP_CWORD=${words.length - 1}
     _holdfast
     printf '%s\\n' "\${COMPREPLY[@]}"`,
  );
}

beforeEach(() => {
  cli.coordinator.on({
    listJobs: () => ({ jobs: [job(), job({ id: 'j-2' })], untracked: [] }),
    listCheckpoints: () => ({ checkpoints: [summary] }),
    // The second name would be run by a shell that is offered it.
    listNodes: () => ({ nodes: [node(), node({ name: '$(touch$IFS./pwned)' })] }),
  });
});

test.each([
  ['holdfast ch', ['checkpoint', 'checkpoints']],
  ['holdfast catalog ', ['rebuild']],
  ['holdfast jobs --al', ['--all']],
  ['holdfast catalog rebuild --j', ['--json']],
  ['holdfast run --restart ', ['never', 'same', 'any']],
  ['holdfast run --nodes ', ['n1']],
  ['holdfast kill ', [JOB_ID, 'j-2']],
  ['holdfast checkpoint --stop j-2', ['j-2']],
  ['holdfast restart 1', ['17']],
  ['holdfast info ', ['17', JOB_ID, 'j-2', 'n1']],
  ['holdfast completion z', ['zsh']],
  ['holdfast kill j-2 --signal US', ['USR1', 'USR2']],
])('bash: %s', async (line, offered) => {
  expect((await completeInBash(line)).sort()).toEqual([...offered].sort());
});

test('bash: names that a shell could take for commands are not offered', async () => {
  await completeInBash('holdfast run --nodes ');
  expect(readdirSync(cli.cwd)).not.toContain('pwned');
});

test('bash: nothing is offered, and nothing is said, when no coordinator answers', async () => {
  const script = `export HOLDFAST_SOCKET=/nonexistent
    source <(holdfast completion bash); COMP_WORDS=(holdfast kill '') COMP_CWORD=2; _holdfast; echo "\${#COMPREPLY[@]}"`;
  expect(await inShell('bash', script)).toEqual(['0']);
});

test('fish offers subcommands, options and ids', async () => {
  const script = (line: string) => `holdfast completion fish | source; complete -C '${line}'`;
  const names = (lines: string[]) => lines.map((line) => line.split('\t')[0]).sort();
  expect(names(await inShell('fish', script('holdfast ch')))).toEqual(['checkpoint', 'checkpoints']);
  expect(names(await inShell('fish', script('holdfast kill ')))).toEqual(['j-2', JOB_ID].sort());
  expect(names(await inShell('fish', script('holdfast jobs --al')))).toEqual(['--all']);
  expect(names(await inShell('fish', script('holdfast run --restart ')))).toEqual(['any', 'never', 'same']);
});

test('zsh accepts the script and defines a function for every command', async () => {
  const commands = allCommands(modelCommand(buildProgram()));
  const names = commands.map((command) => ['_holdfast', ...command.path].join('_'));
  const script = `autoload -U compinit; compinit -D -u; source <(holdfast completion zsh)
    for name in ${names.join(' ')}; do print -r -- $name:$+functions[$name]; done; print -r -- $_comps[holdfast]`;
  expect(await inShell('zsh', script)).toEqual([...names.map((name) => `${name}:1`), '_holdfast']);
});

test.each([
  ['holdfast.bash', bashScript],
  ['_holdfast', zshScript],
  ['holdfast.fish', fishScript],
])('deploy/completion/%s is what the command prints', (file, script) => {
  const shipped = readFileSync(join(PROJECT, 'deploy', 'completion', file), 'utf8');
  expect(shipped).toBe(script(modelCommand(buildProgram())));
});
