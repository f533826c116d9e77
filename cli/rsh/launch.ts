/**
 * The remote shell that MPI launchers call instead of ssh: what they start on another node becomes a member tree
 * of their job. Launchers call it once per node, so nothing is loaded here that it does not need.
 */

import { HoldfastError } from '../../core/errors';
import { connect } from '../client/connection';
import { parseRemoteCommand } from './parse';

/** Returns the exit code of the command. */
export async function launchMember(words: readonly string[], environment = process.env): Promise<number> {
  const { host, command } = parseRemoteCommand(words);
  const job = environment.HOLDFAST_JOB;
  if (!job) {
    throw new HoldfastError(
      'WRONG_STATE',
      'HOLDFAST_JOB is not set: this process belongs to no job',
      'start the launcher with `holdfast run`',
    );
  }
  const connection = await connect({ socket: environment.HOLDFAST_SOCKET });
  try {
    const given = Object.entries(environment).filter(
      (entry): entry is [string, string] => entry[1] !== undefined,
    );
    const { exitCode } = await connection.call(
      'launchMember',
      {
        job,
        host,
        argv: ['/bin/sh', '-c', command],
        environment: Object.fromEntries(given),
        workingDirectory: process.cwd(),
      },
      // It answers when the command has exited, which may take as long as the job.
      { timeoutMs: Number.POSITIVE_INFINITY },
    );
    return exitCode;
  } finally {
    connection.close();
  }
}
