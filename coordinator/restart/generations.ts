/** Which generation a restart begins from, and when one is given up. Pure; every choice says why. */
import type { ErrorCode } from '../../core/errors';
import type { CheckpointSummary } from '../../proto/gen/holdfast/v1/coordinator';
import type { Failure } from '../operations/failure';

type Known = Pick<CheckpointSummary, 'generation' | 'quarantine'>;
export type GenerationChoice = { generation: number; reason: string } | { generation: null; reason: string };

/**
 * The newest that is not in quarantine.
 * @param newest committed; also one that the catalog does not know is a choice
 */
export function chooseGeneration(newest: number, known: readonly Known[]): GenerationChoice {
  const all = known.some(({ generation }) => generation === newest)
    ? known
    : [...known, { generation: newest, quarantine: '' }];
  const newestFirst = all
    .filter(({ generation }) => generation > 0)
    .sort((a, b) => b.generation - a.generation);
  if (newestFirst.length === 0) return { generation: null, reason: 'no checkpoint was committed' };
  const passed = newestFirst.filter(({ quarantine }) => quarantine !== '');
  const why = passed.map(({ generation, quarantine }) => `${generation}: ${quarantine}`).join('; ');
  const chosen = newestFirst.find(({ quarantine }) => quarantine === '');
  if (chosen === undefined) return { generation: null, reason: `all generations are in quarantine (${why})` };
  const isNewest = chosen === newestFirst[0];
  const reason = `generation ${chosen.generation}${isNewest ? '' : `, the newest that is not in quarantine (${why})`}`;
  return { generation: chosen.generation, reason };
}

/** It can never be restarted, wherever. */
const FATAL: ReadonlySet<ErrorCode> = new Set(['CORRUPT', 'OBJECT_MISSING', 'UNKNOWN_FORMAT']);
/** The node may be to blame, or the time: it gets a second chance. */
const SUSPECT: ReadonlySet<ErrorCode> = new Set(['CRIU_FAILED', 'FILE_CHANGED']);
/** What a node says of objects; it may be the only one that does not see them. */
const OF_OBJECTS: ReadonlySet<ErrorCode> = new Set(['CORRUPT', 'OBJECT_MISSING']);
const MAX_SUSPECT_FAILURES = 2;

export const isOfObjects = (code: ErrorCode): boolean => OF_OBJECTS.has(code);

/**
 * What a failed restart says about its generation; null: nothing. A node that was lost, a store that did not answer or a
 * missing key are no fault of it.
 * @param isWhole the coordinator finds all of its objects in the store
 */
export function judge(
  { failedRestarts }: Pick<CheckpointSummary, 'failedRestarts'>,
  { code, message }: Pick<Failure, 'code' | 'message'>,
  isWhole: boolean,
): Pick<CheckpointSummary, 'failedRestarts' | 'quarantine'> | null {
  const count = failedRestarts + 1;
  const isSuspect = SUSPECT.has(code) || (isWhole && isOfObjects(code));
  if (FATAL.has(code) && !isSuspect) return { failedRestarts: count, quarantine: `${code}: ${message}` };
  if (!isSuspect) return null;
  const isGivenUp = count >= MAX_SUSPECT_FAILURES;
  const quarantine = isGivenUp ? `${count} restarts failed, the last one with ${code}: ${message}` : '';
  return { failedRestarts: count, quarantine };
}
