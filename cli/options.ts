/** Options that many subcommands share. */

import { type Command, Option } from 'commander';
import { HoldfastError } from '../core/errors';
import { type Connection, connect } from './client/connection';

export interface SocketOption {
  readonly socket?: string;
}

export interface JsonOption {
  readonly json?: boolean;
}

export function addSocket(command: Command): Command {
  return command.addOption(
    new Option('--socket <path>', 'UNIX socket of an agent or coordinator').env('HOLDFAST_SOCKET'),
  );
}

export function addJson(command: Command): Command {
  return command.option('--json', 'machine-readable output');
}

/** Connects, does the work and closes the connection whatever happens. */
export async function withConnection<T>(
  options: SocketOption,
  work: (connection: Connection) => Promise<T>,
): Promise<T> {
  const connection = await connect(options.socket);
  try {
    return await work(connection);
  } finally {
    connection.close();
  }
}

/**
 * For an option that a command needs but its subcommands do not, which commander cannot express.
 * @throws INVALID_ARGUMENT when it was not given
 */
export function required<T>(value: T | undefined, flags: string, variable: string): T {
  if (value !== undefined) return value;
  throw new HoldfastError('INVALID_ARGUMENT', `${flags} is required`, `give it, or set ${variable}`);
}
