/** How a failure is told: `holdfast: CODE: message`, a remedy, and the catalogue's exit code. */

import { toHoldfastError } from '../core/errors';
import { paint, printable } from './output/terminal';

/** Whether the command line asks for JSON; the words after `--` belong to a job's own command. */
export function wantsJson(argv: readonly string[]): boolean {
  const end = argv.indexOf('--');
  return argv.slice(0, end === -1 ? argv.length : end).includes('--json');
}

/** Writes the failure to stderr and returns the exit code. */
export function reportFailure(thrown: unknown, json: boolean): number {
  const { code, message, remedy, kind } = toHoldfastError(thrown);
  if (json) {
    const error = { code, message, remedy, retryable: kind.retryable };
    process.stderr.write(`${JSON.stringify({ error })}\n`);
  } else {
    process.stderr.write(
      `holdfast: ${paint('red', code, process.stderr)}: ${printable(message)}\n${remedy && `  remedy: ${printable(remedy)}\n`}`,
    );
  }
  return kind.exitCode;
}
