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

/** Parsers know what is wrong with a value, but not which option it was given to. */
export function nameOptions(command: Command): void {
  for (const option of command.options) {
    const parse = option.parseArg;
    if (!parse) continue;
    option.argParser<unknown>((value, previous) => {
      try {
        return parse(value, previous);
      } catch (thrown) {
        if (!(thrown instanceof HoldfastError)) throw thrown;
        throw new HoldfastError(thrown.code, `${option.long}: ${thrown.message}`, thrown.remedy);
      }
    });
  }
  command.commands.forEach(nameOptions);
}
