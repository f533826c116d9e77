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

/** @throws HoldfastError INVALID_ARGUMENT naming the setting, what was received and what to do */
export function parseSettings<S extends z.ZodObject>(schema: S, input: z.input<S>, part: Part): z.output<S> {
  const parsed = schema.safeParse(input);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const field = String(issue?.path[0] ?? '');
  const received = valueAt(input, issue?.path ?? []);
  throw invalidSetting(part, field, received, issue?.message ?? 'not valid');
}

/** @param field of the parsed options */
export function invalidSetting(part: Part, field: string, received: unknown, problem: string): HoldfastError {
  const name = settingName(part, field);
  if (received === undefined) {
    return new HoldfastError(
      'INVALID_ARGUMENT',
      `${part.name} setting ${name}: is required`,
      remedy(part, name),
    );
  }
  const shown = withoutSecrets(JSON.stringify(received));
  const message = `${part.name} setting ${name}: ${problem}; received ${shown}`;
  return new HoldfastError('INVALID_ARGUMENT', message, remedy(part, name));
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

function remedy({ name }: Part, setting: string): string {
  return `correct --${setting}, its variable or "${setting}" in the section ${name} of the configuration file`;
}

function valueAt(input: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>(
    (value, key) => (value as Record<PropertyKey, unknown> | undefined)?.[key],
    input,
  );
}
