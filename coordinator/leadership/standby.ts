/** What a coordinator that does not lead answers: reads, from what the leader wrote; everything else, who leads. */
import type { Redis } from 'ioredis';
import { type HoldfastError, NotLeaderError } from '../../core/errors';
import type { Logger } from '../../core/log';
import { CoordinatorServiceService } from '../../proto/gen/holdfast/v1/coordinator';
import type { ObjectStore } from '../../store/contract';
import type { Caller } from '../api/authorize';
import type { Call, Handlers } from '../api/handlers';
import { coordinatorHandlers } from '../api/service';
import { Catalog } from '../catalog/catalog';
import type { Clock } from '../clock';
import type { Context } from '../context';
import type { EventLog } from '../events/log';
import type { Policies } from '../policies';
import { UsageTable } from '../retention/usage';
import { ScheduleTable } from '../schedule/table';
import { Signal } from '../signal';
import { SlurmRecords } from '../slurm/records';
import { Decisions } from '../state/decisions';
import { Drains } from '../state/drains';
import { JobTable } from '../state/jobs';
import { loadNodes } from '../state/nodes';
import { OperationTable } from '../state/operations';
import { Transfers } from '../transfer/transfers';
import { fencedRedis } from './fence';
import type { Serving } from './serving';

const READS = [
  ...(['listJobs', 'getJob', 'listNodes', 'listCheckpoints', 'getCheckpoint', 'getOperation'] as const),
  ...(['explainRetention', 'getUsage', 'listSlurmJobs', 'watch'] as const),
] satisfies Call[];

/** How old an answer may be: one reading of the state serves all calls of that time. */
const FRESH_MS = 500;

export interface StandbyParts {
  readonly redis: Redis;
  readonly store: ObjectStore;
  readonly clock: Clock;
  readonly log: Logger;
  readonly policies: () => Policies;
  readonly events: EventLog;
  /** HOST:PORT; empty: none leads. */
  readonly leader: () => string;
}

export class Standby implements Serving {
  readonly over = new Signal<HoldfastError>();
  #read: { readonly atMs: number; readonly context: Promise<Context> } | null = null;

  constructor(private readonly parts: StandbyParts) {}

  readonly handlers = (caller: Caller): Handlers => {
    const refuse = () => Promise.reject(new NotLeaderError(this.parts.leader()));
    const refusals = Object.keys(CoordinatorServiceService).map((name) => [name, refuse]);
    const reads = READS.map((name) => [name, (request: never) => this.#answer(name, caller, request)]);
    return Object.fromEntries([...refusals, ...reads]) as unknown as Handlers;
  };

  async #answer(name: (typeof READS)[number], caller: Caller, request: never): Promise<unknown> {
    return coordinatorHandlers(await this.#context(), caller)[name](request);
  }

  #context(): Promise<Context> {
    const nowMs = this.parts.clock.monotonicMs();
    if (this.#read !== null && nowMs - this.#read.atMs < FRESH_MS) return this.#read.context;
    const context = this.#load();
    this.#read = { atMs: nowMs, context };
    context.catch(() => {
      this.#read = null;
    });
    return context;
  }

  /** As much of a context as reads look at. */
  async #load(): Promise<Context> {
    const { store, clock, log, policies } = this.parts;
    const redis = fencedRedis(this.parts.redis, { token: null, onRefused: () => {} });
    const [jobs, operations, schedules, drains, slurm, nodes] = await Promise.all([
      JobTable.load(redis),
      OperationTable.load(redis),
      ScheduleTable.load(redis),
      Drains.load(redis),
      SlurmRecords.load(redis, clock),
      loadNodes(redis),
    ]);
    const sorted = nodes.sort((a, b) => (a.name < b.name ? -1 : 1));
    const context = {
      ...{ redis, store, clock, log, jobs, operations, schedules, drains, slurm, policies },
      catalog: new Catalog(redis, store, jobs, log),
      decisions: new Decisions(redis, clock, log),
      usage: new UsageTable(redis),
      transfers: new Transfers(),
      events: this.parts.events,
      // What agents tell of their progress only the leader hears.
      fleet: { nodes: () => sorted, fillingOf: () => [], progress: new Signal() },
      gathering: { remainingMs: () => 0 },
    };
    return context as unknown as Context;
  }
}
