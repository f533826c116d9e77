/**
 * How long each command may take before its operation is aborted. A node that is gone is found by its lease, much
 * sooner; these limits are for an agent that lives but does not answer.
 */
const SECOND_MS = 1_000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;

export const TIMEOUTS_MS = {
  launch: MINUTE_MS,
  /** Memory is copied then, while the job runs. */
  prepare: HOUR_MS,
  capture: HOUR_MS,
  release: 2 * MINUTE_MS,
  upload: 6 * HOUR_MS,
  stage: 6 * HOUR_MS,
  restore: 6 * HOUR_MS,
  resume: 2 * MINUTE_MS,
  abort: 2 * MINUTE_MS,
  kill: MINUTE_MS,
  discoverSlurm: 10 * SECOND_MS,
  /** Between an agent's connection and its Register. */
  register: 10 * SECOND_MS,
  /** Between two attempts to resolve a commit whose outcome is unknown. */
  commitRetry: 2 * SECOND_MS,
  /** How long an export waits for its reader, or an import for its writer, before it is given up. */
  transferStall: 10 * MINUTE_MS,
} as const;
