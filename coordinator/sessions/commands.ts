/** Which result answers which command, in types and at run time. */

import { type ErrorCode, HoldfastError, isErrorCode } from '../../core/errors';
import { fromErrorDetail } from '../../core/rpc/errors';
import type { Command, CommandResult } from '../../proto/gen/holdfast/v1/agent';

export type CommandBody = NonNullable<Command['body']>;
export type CommandCase = CommandBody['$case'];
type ResultBody = NonNullable<CommandResult['body']>;

const RESULT_OF = {
  launch: 'started',
  adopt: 'started',
  prepare: 'prepared',
  capture: 'captured',
  release: 'released',
  upload: 'uploaded',
  stage: 'done',
  restore: 'done',
  resume: 'resumed',
  abort: 'done',
  kill: 'done',
  discoverSlurm: 'discoveredSlurm',
} as const satisfies Record<CommandCase, ResultBody['$case']>;

export type BodyOf<C extends CommandCase> = Extract<CommandBody, { $case: C }>;
export type ResultOf<C extends CommandCase> = Extract<ResultBody, { $case: (typeof RESULT_OF)[C] }>['value'];

/** What a command came to: the node's answer, or why there is none. */
export type Outcome = CommandResult | HoldfastError;

/** The code of its error; null when it succeeded. */
export function outcomeCode(outcome: Outcome): ErrorCode | null {
  if (outcome instanceof HoldfastError) return outcome.code;
  const { error } = outcome;
  if (error === undefined) return null;
  return isErrorCode(error.code) ? error.code : 'INTERNAL';
}

/** What every command of an operation carries (E1). */
export interface CommandScope {
  readonly job: string;
  readonly generation: number;
  readonly epoch: number;
}

/** @throws HoldfastError the agent's own, with the node's name in front; INTERNAL for an answer to something else */
export function resultOf<C extends CommandCase>(
  node: string,
  command: C,
  result: CommandResult,
): ResultOf<C> {
  if (result.error !== undefined) throw fromErrorDetail(result.error, `node ${node}: `);
  if (result.body?.$case !== RESULT_OF[command]) {
    throw new HoldfastError(
      'INTERNAL',
      `node ${node} answered ${command} with ${result.body?.$case ?? 'nothing'}`,
      'run the same release of Holdfast on all nodes',
    );
  }
  return result.body.value as ResultOf<C>;
}
