/** Options that many subcommands share. */

import { type Command, Option } from 'commander';
import { HoldfastError } from '../core/errors';
import { type Connection, connect } from './client/connection';
import type { TargetOptions } from './client/target';
import { parseChoice, parseHostPort, parsePath } from './values';

/** Whom a command calls. */
export type SocketOption = TargetOptions;

export interface JsonOption {
  readonly json?: boolean;
}

export function addSocket(command: Command): Command {
  return command
    .addOption(new Option('--socket <path>', 'UNIX socket of an agent or coordinator').env('HOLDFAST_SOCKET'))
    .option('--coordinator <host:port>', 'call a coordinator without an agent', parseHostPort)
    .option('--auth <munge>', 'how to say who calls a coordinator', parseChoice(['munge']))
    .option('--ca <file>', "the cluster's ca.crt (default: /etc/holdfast/tls/ca.crt)", parsePath)
    .option('--munge-socket <path>', "munged's (default: MUNGE's own)", parsePath);
}

export function addJson(command: Command): Command {
  return command.option('--json', 'machine-readable output');
}

/** Connects, does the work and closes the connection whatever happens. */
export async function withConnection<T>(
  options: SocketOption,
  work: (connection: Connection) => Promise<T>,
): Promise<T> {
  const connection = await connect(options);
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
