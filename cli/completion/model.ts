/** The command tree as completion scripts need it: what may follow what, and what a value is. */

import type { Command, Option } from 'commander';

/** What a value is: ids that are asked for when needed, things of the shell, or fixed words. */
export type ValueKind = 'jobs' | 'checkpoints' | 'nodes' | 'files' | 'directories' | 'commands';

export interface Value {
  readonly kinds: readonly ValueKind[];
  readonly words: readonly string[];
}

export interface OptionModel {
  readonly short: string | undefined;
  readonly long: string;
  readonly description: string;
  /** null for a flag. */
  readonly value: Value | null;
  readonly repeatable: boolean;
}

export interface CommandModel {
  /** Names from the program on, without the program's own: ['catalog', 'rebuild']. */
  readonly path: readonly string[];
  readonly summary: string;
  readonly options: readonly OptionModel[];
  /** The last one repeats when `repeats`. */
  readonly values: readonly Value[];
  readonly repeats: boolean;
  readonly children: readonly CommandModel[];
}

/** By the placeholder that the help shows for the value. */
const KINDS: Record<string, readonly ValueKind[]> = {
  job: ['jobs'],
  'job|pid': ['jobs'],
  ckpt: ['checkpoints'],
  'ckpt|job': ['checkpoints', 'jobs'],
  'ckpt|job|node': ['checkpoints', 'jobs', 'nodes'],
  node: ['nodes'],
  'a,b': ['nodes'],
  host: ['nodes'],
  file: ['files'],
  path: ['files'],
  dir: ['directories'],
  command: ['commands'],
};

const SIGNALS = ['TERM', 'INT', 'KILL', 'HUP', 'USR1', 'USR2', 'STOP', 'CONT'];

export function modelValue(placeholder: string): Value {
  const kinds = KINDS[placeholder];
  if (kinds) return { kinds, words: [] };
  if (placeholder === 'signal') return { kinds: [], words: SIGNALS };
  return { kinds: [], words: placeholder.includes('|') ? placeholder.split('|') : [] };
}

function modelOption(option: Option): OptionModel {
  const placeholder = /[<[](.+?)(\.\.\.)?[>\]]/.exec(option.flags)?.[1];
  return {
    short: option.short,
    long: option.long ?? option.flags,
    description: option.description,
    value: placeholder === undefined ? null : modelValue(placeholder),
    repeatable: option.description.includes('(repeatable'),
  };
}

export function modelCommand(command: Command, path: readonly string[] = []): CommandModel {
  const help = command.createHelp();
  const children = help.visibleCommands(command).filter((child) => child.name() !== 'help');
  return {
    path,
    summary: command.summary() || command.description(),
    options: help.visibleOptions(command).map(modelOption),
    values: command.registeredArguments.map((argument) => modelValue(argument.name())),
    repeats: command.registeredArguments.at(-1)?.variadic ?? false,
    children: children.map((child) => modelCommand(child, [...path, child.name()])),
  };
}

/** The command and everything below it. */
export function allCommands(model: CommandModel): CommandModel[] {
  return [model, ...model.children.flatMap(allCommands)];
}
