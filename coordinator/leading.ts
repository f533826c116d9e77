/** The work of the coordinator that leads: taken over from whoever led before, as after a restart (A5), and left at once. */
import type { Redis } from 'ioredis';
import { HoldfastError } from '../core/errors';
import type { Logger } from '../core/log';
import type { Node } from '../proto/gen/holdfast/v1/coordinator';
import type { ObjectStore } from '../store/contract';
import type { Guard } from './api/serve';
import { coordinatorHandlers } from './api/service';
import { auditOperations } from './audit/operations';
import { Catalog } from './catalog/catalog';
import { rebuildIfIncomplete } from './catalog/rebuild';
import { Reservations } from './catalog/reservations';
import type { Clock } from './clock';
import type { Context } from './context';
import { followDrains } from './drain/follow';
import { tell } from './events/entry';
import type { EventLog } from './events/log';
import { followFailures } from './failures/follow';
import { FailureTally } from './failures/tally';
import { Gathering } from './jobs/gathering';
import { Launches } from './jobs/launches';
import { recoverJobs } from './jobs/recovery';
import { fencedRedis } from './leadership/fence';
import type { Leading } from './leadership/post';
import type { Serving } from './leadership/serving';
import { admitWrites } from './leadership/store';
import type { Term } from './leadership/term';
import { Gate } from './operations/gate';
import { recoverOperations } from './operations/recovery';
import { runOperation } from './operations/run';
import { RunningOperations } from './operations/running';
import type { CoordinatorOptions } from './options';
import type { Policies } from './policies';
import type { Queues } from './queues/queues';
import { connectReactions } from './reactions';
import { Collecting } from './retention/collecting';
import { startCollecting } from './retention/schedule';
import { UsageTable } from './retention/usage';
import { followSchedules } from './schedule/follow';
import { ScheduleTable } from './schedule/table';
import { tick } from './schedule/tick';
import { Fleet } from './sessions/fleet';
import { returnMs } from './sessions/leases';
import { Signal } from './signal';
import { followSlurm, type SlurmFollower } from './slurm/follow';
import { SlurmRecords } from './slurm/records';
import { Counters } from './state/counters';
import { Decisions } from './state/decisions';
import { Drains } from './state/drains';
import { JobTable, nodesOf } from './state/jobs';
import { JobLocks } from './state/locks';
import { loadNodes } from './state/nodes';
import { OperationTable } from './state/operations';
import type { Telemetry } from './telemetry/telemetry';
import { recoverImports } from './transfer/settle';
import { Transfers } from './transfer/transfers';

/** What lasts longer than one time of leading. */
export interface Site {
  readonly options: CoordinatorOptions;
  readonly log: Logger;
  readonly clock: Clock;
  readonly redis: Redis;
  /** Its Redis is the coordinator's own, which loses no write that it has acknowledged. */
  readonly isAlone: boolean;
  /** A store that asks before each write. */
  readonly openStore: (admit: (key: string) => Promise<void>) => ObjectStore;
  readonly openQueues: (term: number) => Queues;
  readonly telemetry: Pick<Telemetry, 'watch'>;
  readonly policies: () => Policies;
  readonly events: EventLog;
  readonly guard: Guard;
}

const CLOSE_TIMEOUT_MS = 5_000;

export class Leader implements Leading {
  readonly serving: Serving;
  /** null: there is no Slurm. */
  slurm: SlurmFollower | null = null;
  /** In reverse order. */
  readonly #ends: (() => void)[] = [];

  private constructor(readonly context: Context) {
    this.serving = {
      over: new Signal(),
      handlers: (caller) => coordinatorHandlers(context, caller),
    };
  }

  get fleet(): Fleet {
    return this.context.fleet;
  }

  /** @throws what building the context throws; then nothing is left of it */
  static async begin(site: Site, term: Term): Promise<Leader> {
    const store = site.openStore(admitWrites(term));
    let leader: Leader | null = null;
    try {
      await store.open();
      leader = new Leader(await buildContext(site, term, store));
      await leader.#begin(site);
      return leader;
    } catch (thrown) {
      if (leader === null) await store.close();
      leader?.abandon();
      throw thrown;
    }
  }

  async #begin({ options, telemetry, log }: Site): Promise<void> {
    const { context } = this;
    this.#ends.push(
      () => context.queues.close(),
      () => context.fleet.close(),
      telemetry.watch(context),
    );
    context.fleet.expect(await awaitedNodes(context));
    this.#ends.push(connectReactions(context));
    await context.queues.clear(context.redis);
    const recovery = recoverOperations(context);
    recovery.catch((err) => log.error({ err }, 'recovery'));
    await recoverJobs(context);
    const resolveImports = await recoverImports(context);
    resolveImports().catch((err) => log.error({ err }, 'recovery of imports'));
    context.queues.start({
      runOperation: (id) => runOperation(context, id),
      tick: (job, dueMs) => tick(context, job, dueMs),
    });
    this.#ends.push(
      auditOperations(context),
      followFailures(context),
      followSchedules(context),
      followDrains(context),
      startCollecting(context, options.gcIntervalMs),
    );
    if (!options.slurm) return;
    this.slurm = followSlurm(context);
    this.#ends.push(this.slurm.stop);
  }

  abandon(): void {
    const { gate, running, store } = this.context;
    this.serving.over.emit(new HoldfastError('COORDINATOR_UNAVAILABLE', 'this coordinator leads no more'));
    gate.close();
    // An import hears of it; of what a machine drives, nothing more is done (operations/drive.ts).
    running.abortAll({ code: 'COORDINATOR_UNAVAILABLE', message: 'another one leads', remedy: '' });
    for (const end of this.#ends.splice(0).reverse()) end();
    store.close().catch(() => undefined);
  }

  /** Aborts what can be aborted, and stops; what cannot is resolved by the next leader. */
  async close(): Promise<void> {
    const { clock, gate, running } = this.context;
    gate.close();
    running.abortAll({ code: 'COORDINATOR_UNAVAILABLE', message: 'the coordinator is stopping', remedy: '' });
    await untilQuiet(clock, running, CLOSE_TIMEOUT_MS);
    for (const end of this.#ends.splice(0).reverse()) end();
  }
}

async function buildContext(site: Site, term: Term, store: Context['store']): Promise<Context> {
  const { options, log, clock, policies } = site;
  const redis = fencedRedis(site.redis, term);
  const began = { kind: 'term', subject: String(term.term), job: '', isOver: true, text: '' } as const;
  await tell(redis.multi(), began).exec();
  const [jobs, operations] = await Promise.all([JobTable.load(redis), OperationTable.load(redis)]);
  const counters = new Counters(redis, clock, await Reservations.open(store));
  const catalog = new Catalog(redis, store, jobs, log);
  const { isRebuilt } = await rebuildIfIncomplete({ catalog, counters, jobs, log, redis, store });
  if (isRebuilt || !site.isAlone) counters.passReservedIds();
  const gathering = await Gathering.begin(redis, clock, { isRebuilt, timeMs: returnMs(options.leaseMs) });
  const [schedules, drains, failures, slurm] = await Promise.all([
    ScheduleTable.load(redis),
    Drains.load(redis),
    FailureTally.load(redis, clock, returnMs(options.leaseMs)),
    SlurmRecords.load(redis, clock),
  ]);
  return {
    ...{ clock, log, redis, store, jobs, operations, counters, catalog, schedules, drains, failures, slurm },
    leads: () => term.isHeld,
    ...{ audit: site.guard.audit, limits: site.guard.limits, roles: site.guard.roles, events: site.events },
    decisions: new Decisions(redis, clock, log),
    gate: new Gate(() => policies().maxCheckpoints),
    fleet: new Fleet(clock, { leaseMs: options.leaseMs, heartbeatMs: options.heartbeatMs }, log),
    locks: new JobLocks(),
    removals: new JobLocks(),
    running: new RunningOperations(),
    queues: site.openQueues(term.term),
    transfers: new Transfers(),
    gathering,
    policies,
    launches: new Launches(),
    usage: new UsageTable(redis),
    collecting: new Collecting(),
  };
}

/**
 * Nodes that were alive when the state was last written, or that something in flight needs: they get their time to
 * return, and operations found at the start wait for them.
 */
async function awaitedNodes({ jobs, operations, redis }: Context): Promise<Node[]> {
  const needed = new Set([
    ...jobs.all().flatMap(nodesOf),
    ...operations.open().flatMap(({ nodes }) => nodes),
  ]);
  return (await loadNodes(redis)).filter(({ name, alive }) => alive || needed.has(name));
}

/** Until nothing is at work, or the time is over: agents thaw what they hold when their lease ends (F1). */
async function untilQuiet(clock: Clock, running: RunningOperations, timeoutMs: number): Promise<void> {
  if (running.isEmpty) return;
  await new Promise<void>((resolve) => {
    const end = () => {
      cancel();
      unsubscribe();
      resolve();
    };
    const cancel = clock.after(timeoutMs, end);
    const unsubscribe = running.quiet.subscribe(end);
  });
}
