/** The configuration of a daemon that is to run: read at its start, and again when it is told to. */
import { type Command, Option } from 'commander';
import { type Part, SettingsError } from '../../core/settings';
import { parsePath } from '../values';
import type * as File from './file';
import type * as Settings from './settings';

export function addConfig(command: Command): Command {
  return command.addOption(
    new Option('--config <file>', 'configuration file (default: /etc/holdfast/holdfast.yaml, if it is there)')
      .env('HOLDFAST_CONFIG')
      .argParser(parsePath),
  );
}

/**
 * The input of the part's options, as of now.
 * @throws SettingsError
 */
export function configurationOf(command: Command, part: Part): Record<string, unknown> {
  // Loaded on use: only daemons and `config` read YAML.
  const { readConfiguration } = require('./file') as typeof File;
  const { inputOf, settingsOf } = require('./settings') as typeof Settings;
  const file = readConfiguration(command.opts<{ config?: string }>().config);
  const { settings, problems } = settingsOf(command, part, file);
  const [problem, ...others] = problems;
  if (problem === undefined) return inputOf(part, settings);
  throw new SettingsError([problem, ...others]);
}
