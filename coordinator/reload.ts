/** A configuration that was read again: what takes effect now, and what waits for a restart. */
import { type Difference, differences } from '../core/settings';
import {
  COORDINATOR_PART,
  COORDINATOR_RELOADABLE,
  type CoordinatorOptions,
  type CoordinatorOptionsInput,
  parseCoordinatorOptions,
} from './options';
import { policiesOf } from './policies';

export interface Reloaded extends Difference {
  /** Those of before, with the settings that take effect now. */
  readonly options: CoordinatorOptions;
}

/** Pure. @throws HoldfastError INVALID_ARGUMENT: then nothing changes */
export function reloaded(now: CoordinatorOptions, input: CoordinatorOptionsInput): Reloaded {
  const next = parseCoordinatorOptions(input);
  const difference = differences(COORDINATOR_PART, COORDINATOR_RELOADABLE, now, next);
  const taken: Partial<CoordinatorOptions> = { ...policiesOf(next), logLevel: next.logLevel };
  return { ...difference, options: Object.freeze({ ...now, ...taken }) };
}
