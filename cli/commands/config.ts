import type { Command } from 'commander';
import { HoldfastError } from '../../core/errors';
import { addConfig } from '../configuration/daemon';
import type * as File from '../configuration/file';
import type * as Parts from '../configuration/parts';
import type { Setting } from '../configuration/settings';
import type * as Written from '../configuration/written';
import { addJson, type JsonOption } from '../options';
import { formatCount } from '../output/format';
import { printTable } from '../output/table';
import { paint, print, printJson } from '../output/terminal';
import { parseChoice, parsePath } from '../values';

const HELP = `
The file is YAML with a section for each daemon; settings are named like the flags. Flags win over the environment,
the environment over the file, the file over defaults. SIGHUP makes a daemon read it again.

Examples:
  holdfast config check
  holdfast config check new.yaml && mv new.yaml /etc/holdfast/holdfast.yaml
  holdfast config show agent

Exit codes:
  0; 2 something is wrong with it; others: see holdfast(1), EXIT STATUS`;

interface ConfigOption extends JsonOption {
  readonly config?: string;
}

/** Loaded on use: the rest of the command line has no need of YAML and of the daemons' options. */
const file = () => require('../configuration/file') as typeof File;
const parts = () => require('../configuration/parts') as typeof Parts;
const written = () => require('../configuration/written') as typeof Written;

function check(path: string | undefined, { json = false }: ConfigOption): void {
  const { DEFAULT_PATH, readConfiguration } = file();
  const { PARTS, examine } = parts();
  // The one that was asked for must be there, the default one, too.
  const name = path ?? process.env.HOLDFAST_CONFIG ?? DEFAULT_PATH;
  const found = readConfiguration(name);
  const sections = PARTS.filter((part) => found?.sections.has(part.name)).map((part) => ({
    name: part.name,
    problems: examine(part, found).problems.map(({ message, remedy }) => ({ message, remedy })),
  }));
  const count = sections.reduce((sum, { problems }) => sum + problems.length, 0);
  if (json) printJson({ file: name, usable: count === 0, sections });
  else {
    if (sections.length === 0) print(`${name}: no sections`);
    for (const section of sections) printSection(section);
  }
  if (count === 0) return;
  throw new HoldfastError(
    'INVALID_ARGUMENT',
    `${name}: ${formatCount(count, 'problem')}`,
    'follow the remedies above',
  );
}

function printSection({
  name,
  problems,
}: {
  name: string;
  problems: readonly { message: string; remedy: string }[];
}) {
  print(`${name}: ${problems.length === 0 ? 'ok' : paint('red', formatCount(problems.length, 'problem'))}`);
  for (const { message, remedy } of problems) print(`  ${message}\n    remedy: ${remedy}`);
}

interface Row extends Pick<Setting, 'source' | 'place'> {
  readonly setting: string;
  readonly value: string;
  readonly needsRestart: boolean;
}

const columns = [
  { title: 'SETTING', cell: (row: Row) => row.setting },
  { title: 'VALUE', cell: (row: Row) => row.value },
  { title: 'FROM', cell: (row: Row) => row.place },
  { title: 'CHANGES', cell: (row: Row) => (row.needsRestart ? 'at restart' : 'at SIGHUP') },
];

function rowsOf(part: Parts.DaemonPart, found: File.ConfigurationFile | null): Row[] {
  const { settings, options, problems } = parts().examine(part, found);
  const [problem] = problems;
  if (options === null) throw new HoldfastError('INVALID_ARGUMENT', problem?.message ?? '', problem?.remedy);
  return settings.map(({ name, source, place }) => {
    const field = part.settings[name] ?? name;
    const value = written().asWritten(field, options[field]);
    return { setting: name, value, source, place, needsRestart: !part.reloadable.includes(name) };
  });
}

function show(wanted: string | undefined, { config, json = false }: ConfigOption): void {
  const found = file().readConfiguration(config);
  const isShown = ({ name }: Parts.DaemonPart) =>
    wanted === undefined ? (found?.sections.has(name) ?? true) : name === wanted;
  const shown = parts()
    .PARTS.filter(isShown)
    .map((part) => ({ name: part.name, rows: rowsOf(part, found) }));
  if (json) {
    printJson({
      file: found?.path ?? null,
      ...Object.fromEntries(shown.map(({ name, rows }) => [name, rows])),
    });
    return;
  }
  print(`file: ${found?.path ?? 'none'}`);
  for (const { name, rows } of shown) {
    print(`\n${name}`);
    printTable(columns, rows, 'no settings');
  }
}

export function addConfigCommand(program: Command): void {
  const config = program
    .command('config')
    .summary('check and show the configuration of agent and coordinator')
    .description('Checks and shows the configuration of agent and coordinator.')
    .addHelpText('after', HELP);
  const checkCommand = config
    .command('check')
    .summary('tell everything that is wrong with a configuration file')
    .description(
      'Tells everything that is wrong with a configuration file, with the variables of the environment.',
    )
    .argument('[file]', 'file to check (default: HOLDFAST_CONFIG, or /etc/holdfast/holdfast.yaml)', parsePath)
    .addHelpText('after', HELP);
  addJson(checkCommand).action(check);
  const showCommand = config
    .command('show')
    .summary('show every setting, and where it is from')
    .description(
      'Shows every setting that a daemon would start with now, and where it is from. Passwords are left out.',
    )
    .argument('[agent|coordinator]', 'whose settings', parseChoice(['agent', 'coordinator']))
    .addHelpText('after', HELP);
  addJson(addConfig(showCommand)).action(show);
}
