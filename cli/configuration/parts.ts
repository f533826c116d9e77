/** The daemons that a configuration is for. */
import { Command } from 'commander';
import { AGENT_PART, type AgentOptionsInput, parseAgentOptions } from '../../agent/options';
import {
  COORDINATOR_PART,
  type CoordinatorOptionsInput,
  parseCoordinatorOptions,
} from '../../coordinator/options';
import { toHoldfastError } from '../../core/errors';
import { type Part, SettingsError } from '../../core/settings';
import { addAgent } from '../commands/agent';
import { addCoordinator } from '../commands/coordinator';
import { nameOptions } from '../options';
import type { ConfigurationFile } from './file';
import { inputOf, type Setting, settingsOf } from './settings';

export interface DaemonPart extends Part {
  /** Settings that need no restart. */
  readonly reloadable: readonly string[];
  readonly parse: (input: Record<string, unknown>) => object;
  readonly addTo: (program: Command) => void;
}

export const PARTS: readonly DaemonPart[] = [
  {
    ...COORDINATOR_PART,
    parse: (input) => parseCoordinatorOptions(input as unknown as CoordinatorOptionsInput),
    addTo: addCoordinator,
  },
  {
    ...AGENT_PART,
    parse: (input) => parseAgentOptions(input as unknown as AgentOptionsInput),
    addTo: addAgent,
  },
];

export interface Examined {
  readonly settings: readonly Setting[];
  /** Complete; null when there are problems. */
  readonly options: Readonly<Record<string, unknown>> | null;
  readonly problems: readonly { message: string; remedy: string }[];
}

/** What the daemon would run with, started now without flags. */
export function examine(part: DaemonPart, file: ConfigurationFile | null): Examined {
  const { settings, problems } = settingsOf(withEnvironment(part), part, file);
  if (problems.length > 0) return { settings, options: null, problems };
  try {
    const options = part.parse(inputOf(part, settings)) as Readonly<Record<string, unknown>>;
    return { settings, options, problems: [] };
  } catch (thrown) {
    const found = thrown instanceof SettingsError ? thrown.problems : [toHoldfastError(thrown)];
    return { settings, options: null, problems: found };
  }
}

/** The daemon's command as after `holdfast PART`, but nothing runs. */
function withEnvironment(part: DaemonPart): Command {
  const program = new Command();
  part.addTo(program);
  nameOptions(program);
  const [command = program] = program.commands;
  command.action(() => {}).parse([], { from: 'user' });
  return command;
}
