/** A configuration that was read again: what takes effect now, and what waits for a restart. */
import { type Difference, differences } from '../core/settings';
import {
  AGENT_PART,
  AGENT_RELOADABLE,
  type AgentOptions,
  type AgentOptionsInput,
  parseAgentOptions,
} from './options';

export interface Reloaded extends Difference {
  /** Those of before, with the settings that take effect now. */
  readonly options: AgentOptions;
}

/** Pure. @throws HoldfastError INVALID_ARGUMENT: then nothing changes */
export function reloaded(now: AgentOptions, input: AgentOptionsInput): Reloaded {
  const next = parseAgentOptions(input);
  const difference = differences(AGENT_PART, AGENT_RELOADABLE, now, next);
  const { maxUploadBytesPerS, logLevel } = next;
  return { ...difference, options: Object.freeze({ ...now, maxUploadBytesPerS, logLevel }) };
}
