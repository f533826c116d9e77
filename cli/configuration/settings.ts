/**
 * Flags win over the environment, the environment over the file, the file over defaults. The command's own options say
 * what a setting is called, which variable it has and how its text is read: a new option is a key of the file at once.
 */
import type { Command, Option } from 'commander';
import { HoldfastError } from '../../core/errors';
import { withoutSecrets } from '../../core/secrets';
import type { Part } from '../../core/settings';
import type { ConfigurationFile, Entry } from './file';

export type Source = 'flag' | 'environment' | 'file' | 'default';

export interface Setting {
  readonly name: string;
  /** undefined: left to the default. */
  readonly value: unknown;
  readonly source: Source;
  /** The flag, the variable, or file and line. */
  readonly place: string;
}

export interface Settings {
  readonly settings: readonly Setting[];
  /** Everything that is wrong with the file's section. */
  readonly problems: readonly HoldfastError[];
}

/** @param command of the daemon, after it was parsed, or fresh: then with the environment alone */
export function settingsOf(command: Command, part: Part, file: ConfigurationFile | null): Settings {
  const entries = file?.sections.get(part.name) ?? new Map<string, Entry>();
  const problems: HoldfastError[] = [];
  const options = new Map(command.options.map((option) => [nameOf(option), option]));
  for (const [name, { place }] of entries) {
    if (Object.hasOwn(part.settings, name)) continue;
    const names = Object.keys(part.settings).join(', ');
    problems.push(
      invalid(`${place}: unknown setting ${part.name}.${name}`, `remove it, or choose one of ${names}`),
    );
  }
  const settings = Object.keys(part.settings).map((name): Setting => {
    const option = options.get(name);
    if (option === undefined) throw new HoldfastError('INTERNAL', `${part.name} has no option --${name}`);
    const given = givenBy(command, option);
    if (given !== null) return { name, ...given };
    const entry = entries.get(name);
    if (entry === undefined) return { name, value: undefined, source: 'default', place: 'default' };
    try {
      return { name, value: fromFile(option, entry.value), source: 'file', place: entry.place };
    } catch (thrown) {
      const problem = thrown instanceof Error ? thrown.message.replace(`--${name}: `, '') : String(thrown);
      const remedy = thrown instanceof HoldfastError ? thrown.remedy : `see \`holdfast ${part.name} --help\``;
      problems.push(invalid(`${entry.place}: ${part.name}.${name}: ${withoutSecrets(problem)}`, remedy));
      return { name, value: undefined, source: 'file', place: entry.place };
    }
  });
  return { settings, problems };
}

/** The settings as the input of the part's options. */
export function inputOf(part: Part, settings: readonly Setting[]): Record<string, unknown> {
  return Object.fromEntries(settings.map(({ name, value }) => [part.settings[name], value]));
}

function givenBy(command: Command, option: Option): Omit<Setting, 'name'> | null {
  const attribute = option.attributeName();
  const value = command.getOptionValue(attribute) as unknown;
  switch (command.getOptionValueSource(attribute)) {
    case 'cli':
      return { value, source: 'flag', place: option.long ?? '' };
    case 'env':
      return { value, source: 'environment', place: option.envVar ?? '' };
    default:
      return null;
  }
}

function nameOf(option: Option): string {
  return (option.long ?? '').replace(/^--/, '');
}

function fromFile(option: Option, value: unknown): unknown {
  if (option.isBoolean()) {
    if (typeof value === 'boolean') return value;
    throw new HoldfastError(
      'INVALID_ARGUMENT',
      `${JSON.stringify(value)} is neither true nor false`,
      'write true or false',
    );
  }
  if (!option.description.includes('(repeatable')) return parse(option, textOf(value), undefined);
  const list = Array.isArray(value) ? value : [value];
  return list.reduce<unknown>((previous, item) => parse(option, textOf(item), previous), undefined);
}

function parse(option: Option, text: string, previous: unknown): unknown {
  return option.parseArg ? option.parseArg(text, previous as never) : text;
}

function textOf(value: unknown): string {
  if (typeof value === 'string' || typeof value === 'number') return String(value);
  const shown = value === null ? 'nothing' : JSON.stringify(value);
  throw new HoldfastError('INVALID_ARGUMENT', `${shown} is not one value`, 'write one text or number');
}

function invalid(message: string, remedy: string): HoldfastError {
  return new HoldfastError('INVALID_ARGUMENT', message, remedy);
}
