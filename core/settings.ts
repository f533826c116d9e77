/** Settings of a daemon: parsed once, complete, frozen. What is wrong is told by the name that people know it by. */
import type { z } from 'zod';
import { HoldfastError } from './errors';
import { withoutSecrets } from './secrets';

/** From a setting's name (a flag without its dashes, a key of the configuration file) to its field. */
export type SettingNames<Field extends string = string> = Readonly<Record<string, Field>>;

export interface Part {
  /** As the command and the section of the file are called. */
  readonly name: 'coordinator' | 'agent';
  readonly settings: SettingNames;
}

/** What is wrong with several settings; as an error it is the first of them. */
export class SettingsError extends HoldfastError {
  constructor(readonly problems: readonly [HoldfastError, ...HoldfastError[]]) {
    const [{ message, remedy }, ...others] = problems;
    const more = others.length === 0 ? '' : ` (and ${others.length} more: see \`holdfast config check\`)`;
    super('INVALID_ARGUMENT', `${message}${more}`, remedy);
  }
}

/** @throws SettingsError naming the settings, what was received and what to do */
export function parseSettings<S extends z.ZodObject>(schema: S, input: z.input<S>, part: Part): z.output<S> {
  const parsed = schema.safeParse(input);
  if (parsed.success) return parsed.data;
  const [first, ...others] = parsed.error.issues.map((issue) => {
    const field = String(issue.path[0] ?? '');
    // A parser of its own (core/settingText.ts) has said all of it, without what may be a secret.
    const told = issue.code === 'custom' ? issue.params?.remedy : undefined;
    return typeof told === 'string'
      ? wrongSetting(part, field, issue.message, told)
      : invalidSetting(part, field, valueAt(input, issue.path), issue.message);
  });
  throw new SettingsError([first ?? new HoldfastError('INVALID_ARGUMENT', 'not valid'), ...others]);
}

/** @param field of the parsed options */
export function invalidSetting(part: Part, field: string, received: unknown, problem: string): HoldfastError {
  const name = settingName(part, field);
  const places = `--${name}, its variable or "${name}" in the section ${part.name} of the configuration file`;
  if (received === undefined) return wrongSetting(part, field, 'is required', `give ${places}`);
  const shown = withoutSecrets(JSON.stringify(received));
  return wrongSetting(part, field, `${problem}; received ${shown}`, `correct ${places}`);
}

function wrongSetting(part: Part, field: string, problem: string, remedy: string): HoldfastError {
  const message = `${part.name} setting ${settingName(part, field)}: ${problem}`;
  return new HoldfastError('INVALID_ARGUMENT', message, remedy);
}

/** A field without a setting (tests have some) is its own name. */
export function settingName({ settings }: Part, field: string): string {
  return Object.entries(settings).find(([, candidate]) => candidate === field)?.[0] ?? field;
}

export interface Difference {
  /** Settings whose values differ. */
  readonly reloaded: readonly string[];
  readonly needRestart: readonly string[];
}

/** What a newly read configuration changes. Pure. @param reloadable names of settings that need no restart */
export function differences(
  part: Part,
  reloadable: readonly string[],
  now: object,
  next: object,
): Difference {
  const text = (options: object, field: string) =>
    JSON.stringify((options as Record<string, unknown>)[field]);
  const changed = Object.entries(part.settings)
    .filter(([, field]) => text(now, field) !== text(next, field))
    .map(([name]) => name);
  return {
    reloaded: changed.filter((name) => reloadable.includes(name)),
    needRestart: changed.filter((name) => !reloadable.includes(name)),
  };
}

function valueAt(input: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>(
    (value, key) => (value as Record<PropertyKey, unknown> | undefined)?.[key],
    input,
  );
}
