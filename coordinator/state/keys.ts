/**
 * Every Redis key of the coordinator; BullMQ's own start with QUEUE_PREFIX. What is in braces is what a Redis Cluster places a key
 * by: all are in one slot, so a step may touch several.
 */
export const KEYS = {
  /** string with an expiry: who leads, as told in leadership/lease.ts */
  leader: '{holdfast}:leader',
  /** string: the newest term, which every write names (A2) */
  term: '{holdfast}:term',
  /** hash: term → '1', of leaders whose queues may still hold something (queues/queues.ts) */
  queueTerms: '{holdfast}:queue-terms',
  /** hash: job id → Job as JSON */
  jobs: '{holdfast}:jobs',
  /** hash: operation id → record as JSON, of operations that have not ended */
  openOperations: '{holdfast}:operations:open',
  /** string per ended operation, with an expiry */
  endedOperation: (id: string) => `{holdfast}:operation:${id}`,
  /** stream: changes of jobs and operations, and who began to lead (events/entry.ts) */
  events: '{holdfast}:events',
  /** list: ids of ended operations, oldest first; more than are kept for a moment (state/operations.ts) */
  endedOperations: '{holdfast}:operations:ended',
  /** hash: node name → Node as JSON */
  nodes: '{holdfast}:nodes',
  /** hash: checkpoint id → summary as JSON; a cache of the store (C4) */
  checkpoints: '{holdfast}:checkpoints',
  /** string, set once the cache is complete */
  catalogComplete: '{holdfast}:checkpoints:complete',
  /** string with an expiry, while jobs that were rebuilt from the store wait for their nodes (jobs/gathering.ts) */
  gathering: '{holdfast}:gathering',
  /** counters */
  checkpointId: '{holdfast}:counter:checkpoint',
  epoch: (job: string) => `{holdfast}:counter:epoch:${job}`,
  member: (job: string) => `{holdfast}:counter:member:${job}`,
  /** hash: key prefix → JSON, of objects that still have to go (checkpoint/discard.ts) */
  discards: '{holdfast}:discards',
  /** hash: key prefix → JSON, of imports that have not ended (transfer/records.ts) */
  imports: '{holdfast}:imports',
  /** hash per job: object key → mark as JSON, of garbage that waits for its deletion (retention/marks.ts) */
  condemned: (job: string) => `{holdfast}:condemned:${job}`,
  /** hash: job id → usage as JSON (retention/usage.ts) */
  usage: '{holdfast}:usage',
  /** hash: job id → JSON, of jobs with a schedule (schedule/table.ts) */
  schedules: '{holdfast}:schedules',
  /** list per job: its last decisions as JSON, newest last (state/decisions.ts) */
  decisions: (job: string) => `{holdfast}:decisions:${job}`,
  /** hash: failures and uptime of all nodes (failures/tally.ts) */
  failures: '{holdfast}:failures',
  /** hash: node name → DrainState as JSON (state/drains.ts) */
  drains: '{holdfast}:drains',
  /** hash: CLUSTER/JOB/RUN/NODE → SlurmRecord as JSON (slurm/records.ts) */
  slurm: '{holdfast}:slurm',
} as const;

export const QUEUE_PREFIX = '{holdfast}:queue';
