/** What the coordinator's parts share while it leads. Built anew in leading.ts each time it begins to. */
import type { Redis } from 'ioredis';
import type { Logger } from '../core/log';
import type { ObjectStore } from '../store/contract';
import type { CallLimits } from './api/limits';
import type { Audit } from './audit/audit';
import type { Catalog } from './catalog/catalog';
import type { Clock } from './clock';
import type { EventLog } from './events/log';
import type { FailureTally } from './failures/tally';
import type { Gathering } from './jobs/gathering';
import type { Launches } from './jobs/launches';
import type { Gate } from './operations/gate';
import type { RunningOperations } from './operations/running';
import type { Policies } from './policies';
import type { Queues } from './queues/queues';
import type { Collecting } from './retention/collecting';
import type { UsageTable } from './retention/usage';
import type { ScheduleTable } from './schedule/table';
import type { Fleet } from './sessions/fleet';
import type { SlurmRecords } from './slurm/records';
import type { Counters } from './state/counters';
import type { Decisions } from './state/decisions';
import type { Drains } from './state/drains';
import type { JobTable } from './state/jobs';
import type { JobLocks } from './state/locks';
import type { OperationTable } from './state/operations';
import type { Transfers } from './transfer/transfers';
import type { Roles } from './users/roles';

export interface Context {
  readonly clock: Clock;
  readonly log: Logger;
  /** Writes only while this coordinator leads (A2). */
  readonly redis: Redis;
  /** false: another one may lead by now. */
  readonly leads: () => boolean;
  /** As redis (A3). */
  readonly store: ObjectStore;
  readonly fleet: Fleet;
  readonly jobs: JobTable;
  readonly operations: OperationTable;
  readonly counters: Counters;
  readonly locks: JobLocks;
  /** Taken inside of the job's lock by whoever removes its generations, and alone by whoever pins one: it never waits for an operation. */
  readonly removals: JobLocks;
  readonly catalog: Catalog;
  readonly running: RunningOperations;
  readonly queues: Queues;
  readonly gate: Gate;
  readonly schedules: ScheduleTable;
  readonly failures: FailureTally;
  readonly decisions: Decisions;
  readonly drains: Drains;
  readonly slurm: SlurmRecords;
  readonly transfers: Transfers;
  readonly gathering: Gathering;
  /** As of now. */
  readonly policies: () => Policies;
  /** What they start is not missing yet when a node does not name it. */
  readonly launches: Launches;
  readonly usage: UsageTable;
  readonly collecting: Collecting;
  readonly roles: Roles;
  readonly limits: CallLimits;
  readonly audit: Audit;
  /** What has become durable, as all coordinators tell it. */
  readonly events: EventLog;
}
