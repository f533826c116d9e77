#!/usr/bin/env node
import { constants } from 'node:os';
import { HoldfastError } from '../core/errors';
import type * as Program from './program';
import { reportFailure, wantsJson } from './report';
import type * as Launch from './rsh/launch';
import type * as Holder from './slurm/holder';

const words = process.argv.slice(2);
/** MPI launchers wait for it once per node: it goes past the command tree. */
const isRemoteShell = words[0] === 'rsh' && words[1] !== '--help' && words[1] !== '-h';

/** A reader that left (`holdfast jobs | head`) is no failure of ours, but there is nothing more to say. */
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(128 + constants.signals.SIGPIPE);
  const remedy = 'make room, or write elsewhere';
  const failure = new HoldfastError('LIMIT_EXCEEDED', `cannot write to stdout: ${error.message}`, remedy);
  process.exit(reportFailure(failure, wantsJson(words)));
});

async function main(): Promise<void> {
  if (isRemoteShell) {
    const { launchMember } = require('./rsh/launch') as typeof Launch;
    process.exitCode = await launchMember(words.slice(1));
  } else if (words[0] === 'slurm-seat') {
    const { holdSeat } = require('./slurm/holder') as typeof Holder;
    process.exitCode = await holdSeat(words.slice(1));
  } else {
    const { runProgram } = require('./program') as typeof Program;
    await runProgram(words);
  }
}

main().catch((thrown) => {
  // A daemon that could not start may have left something open that would keep the process alive.
  process.exit(reportFailure(thrown, !isRemoteShell && wantsJson(words)));
});
