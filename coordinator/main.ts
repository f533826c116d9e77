/** The coordinator: one per cluster. */
import { mkdir } from 'node:fs/promises';
import { hostname } from 'node:os';
import { Redis, type RedisOptions } from 'ioredis';
import { type Logger, type LogSink, openLog } from '../core/log';
import { serveTools, service } from '../core/rpc/tools';
import { openTracing, type Tracing } from '../core/telemetry/tracing';
import { watchCertificates } from '../core/tls/watch';
import type { Node } from '../proto/gen/holdfast/v1/coordinator';
import { CoordinatorServiceService } from '../proto/gen/holdfast/v1/coordinator';
import type { ObjectStore } from '../store/contract';
import { withObservers } from '../store/observed';
import { openStore } from '../store/open';
import { CallLimits } from './api/limits';
import { servedBy, servedCoordinator } from './api/serve';
import { Audit } from './audit/audit';
import { auditOperations } from './audit/operations';
import { Catalog } from './catalog/catalog';
import { rebuildIfIncomplete } from './catalog/rebuild';
import { type Clock, systemClock } from './clock';
import type { Context } from './context';
import { followDrains } from './drain/follow';
import { followFailures } from './failures/follow';
import { FailureTally } from './failures/tally';
import { Gathering } from './jobs/gathering';
import { recoverJobs } from './jobs/recovery';
import { Gate } from './operations/gate';
import { recoverOperations } from './operations/recovery';
import { runOperation } from './operations/run';
import { RunningOperations } from './operations/running';
import { type CoordinatorOptions, type CoordinatorOptionsInput, parseCoordinatorOptions } from './options';
import { type Policies, policiesOf } from './policies';
import { Queues } from './queues/queues';
import { connectReactions } from './reactions';
import { openRedis } from './redis/open';
import { reloaded } from './reload';
import { startCollecting } from './retention/schedule';
import { UsageTable } from './retention/usage';
import { followSchedules } from './schedule/follow';
import { ScheduleTable } from './schedule/table';
import { tick } from './schedule/tick';
import { listen, openCertificates } from './server';
import { Fleet } from './sessions/fleet';
import { returnMs } from './sessions/leases';
import { Counters } from './state/counters';
import { Decisions } from './state/decisions';
import { Drains } from './state/drains';
import { JobTable, nodesOf } from './state/jobs';
import { JobLocks } from './state/locks';
import { loadNodes } from './state/nodes';
import { OperationTable } from './state/operations';
import { Telemetry } from './telemetry/telemetry';
import { recoverImports } from './transfer/settle';
import { Transfers } from './transfer/transfers';
import { systemUsers, type UserDatabase } from './users/database';
import { Roles } from './users/roles';

/** What the coordinator is given from outside its room. */
export interface CoordinatorParts {
  /** SO_PEERCRED of a connected socket (native/index.ts). */
  readonly peerCredentials: (fd: number) => { pid: number; uid: number; gid: number };
  readonly clock?: Clock;
  readonly users?: UserDatabase;
  /** Of one user. */
  readonly maxOpenCalls?: number;
  /** Default: as the environment says. */
  readonly tracing?: Tracing;
  /** Default: stderr. */
  readonly logSink?: LogSink;
}

export interface Coordinator {
  /** HOST:PORT agents dial. */
  readonly address: string;
  readonly toolsSocket: string;
  /** HOST:PORT for tools with MUNGE credentials. */
  readonly mungeAddress: string | undefined;
  /** HOST:PORT of metrics and health. */
  readonly metricsAddress: string | undefined;
  /**
   * Takes over what needs no restart, and says in the log what does.
   * @throws HoldfastError INVALID_ARGUMENT: then nothing changes
   */
  reload(input: CoordinatorOptionsInput): void;
  /** A configuration that cannot be used: it goes on with the one it has. */
  refuse(error: unknown): void;
  /** Aborts what can be aborted and stops; what cannot is resolved at the next start. */
  close(): Promise<void>;
}

const CLOSE_TIMEOUT_MS = 5_000;

/** @throws HoldfastError when an option is wrong, or Redis, the store or an address cannot be used */
export async function startCoordinator(
  input: CoordinatorOptionsInput,
  parts: CoordinatorParts,
): Promise<Coordinator> {
  let options = parseCoordinatorOptions(input);
  const log = openLog('coordinator', options.logLevel, parts.logSink);
  const telemetry = new Telemetry(parts.tracing ?? openTracing('holdfast-coordinator', hostname(), log));
  await mkdir(options.stateDirectory, { recursive: true, mode: 0o700 });
  const opened = await openRedis({
    url: options.redisUrl,
    stateDirectory: options.stateDirectory,
    report: (message) => log.warn(message),
  });
  const store = withObservers(openStore(options.storeUrl), telemetry.storeObservers);
  await store.open();
  const context = await buildContext({
    options,
    log,
    store,
    clock: parts.clock ?? systemClock,
    redis: opened.connection,
    policies: () => policiesOf(options),
    users: parts.users ?? systemUsers,
    maxOpenCalls: parts.maxOpenCalls,
  });
  await telemetry.watch(context, options.metrics);

  context.fleet.expect(await awaitedNodes(context));
  const disconnect = connectReactions(context);
  await context.queues.clear();
  const recovery = recoverOperations(context);
  await recoverJobs(context);
  const resolveImports = await recoverImports(context);
  const certificates = await openCertificates(options);
  const certificateWatch = certificates && watchCertificates(certificates, log);
  telemetry.certificate(certificates);
  const server = await listen(context, options, certificates);
  const tools = await serveTools({
    socketPath: options.toolsSocket,
    peerCredentials: parts.peerCredentials,
    node: null,
    services: (identity) => [
      service(
        CoordinatorServiceService,
        servedCoordinator(servedBy(context), 'socket', () => identity),
      ),
    ],
    onError: (err) => log.warn({ err }, 'local connection refused'),
  });
  recovery.catch((err) => log.error({ err }, 'recovery'));
  resolveImports().catch((err) => log.error({ err }, 'recovery of imports'));
  context.queues.start({
    runOperation: (id) => runOperation(context, id),
    tick: (job, dueMs) => tick(context, job, dueMs),
  });
  const follows = [
    auditOperations(context),
    followFailures(context),
    followSchedules(context),
    followDrains(context),
    startCollecting(context, options.gcIntervalMs),
  ];
  telemetry.setReady(true);
  void context.roles.warnOfUnknown();
  log.info(
    {
      address: server.address,
      store: store.description,
      redis: opened.description,
      metrics: telemetry.address,
    },
    'coordinator ready',
  );

  return {
    address: server.address,
    toolsSocket: options.toolsSocket,
    mungeAddress: server.mungeAddress,
    metricsAddress: telemetry.address,
    reload: (next) => {
      const { needRestart, ...change } = reloaded(options, next);
      options = change.options;
      log.level = options.logLevel;
      context.gate.admit();
      context.audit.reopen();
      void context.roles.warnOfUnknown();
      void certificateWatch?.look();
      log.info({ reloaded: change.reloaded, needRestart }, 'configuration read again');
    },
    refuse: (err) => log.error({ err }, 'the configuration cannot be used: it stays as it is'),
    close: async () => {
      telemetry.setReady(false);
      for (const stop of follows) stop();
      const stopping = {
        code: 'COORDINATOR_UNAVAILABLE',
        message: 'the coordinator is stopping',
        remedy: '',
      } as const;
      context.gate.close();
      context.running.abortAll(stopping);
      await untilQuiet(context, CLOSE_TIMEOUT_MS);
      disconnect();
      await tools.close();
      context.fleet.close();
      server.close();
      certificateWatch?.close();
      await context.queues.close();
      context.redis.disconnect();
      await store.close();
      await opened.close();
      await context.audit.close();
      await telemetry.close();
    },
  };
}

interface Opened {
  readonly options: CoordinatorOptions;
  readonly log: Logger;
  readonly store: ObjectStore;
  readonly clock: Clock;
  readonly redis: RedisOptions;
  readonly policies: () => Policies;
  readonly users: UserDatabase;
  readonly maxOpenCalls: number | undefined;
}

async function buildContext(opened: Opened): Promise<Context> {
  const { options, log, store, clock, redis: endpoint, policies, users, maxOpenCalls } = opened;
  // A held job must not wait for a Redis that is gone: its commands fail after a while, and the operation aborts.
  const redis = new Redis({ ...endpoint, maxRetriesPerRequest: 3, commandTimeout: 5_000 });
  redis.on('error', (err) => log.error({ err }, 'redis'));
  const [jobs, operations] = await Promise.all([JobTable.load(redis), OperationTable.load(redis)]);
  const counters = new Counters(redis, clock);
  const catalog = new Catalog(redis, store, jobs, log);
  const { isRebuilt } = await rebuildIfIncomplete({ catalog, counters, jobs, log, redis, store });
  const gathering = await Gathering.begin(redis, clock, { isRebuilt, timeMs: returnMs(options.leaseMs) });
  const [schedules, drains, failures] = await Promise.all([
    ScheduleTable.load(redis),
    Drains.load(redis),
    FailureTally.load(redis, clock, returnMs(options.leaseMs)),
  ]);
  return {
    ...{ clock, log, redis, store, jobs, operations, counters, catalog, schedules, drains, failures },
    decisions: new Decisions(redis, clock, log),
    gate: new Gate(() => policies().maxCheckpoints),
    fleet: new Fleet(clock, { leaseMs: options.leaseMs, heartbeatMs: options.heartbeatMs }, log),
    locks: new JobLocks(),
    removals: new JobLocks(),
    running: new RunningOperations(),
    queues: new Queues(endpoint, log),
    transfers: new Transfers(),
    gathering,
    policies,
    launching: new Set(),
    usage: new UsageTable(redis),
    audit: await Audit.open(options.auditLog, log, () => clock.monotonicMs()),
    limits: new CallLimits(() => policies().userRate, clock, maxOpenCalls),
    roles: new Roles(policies, users, clock, log),
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
async function untilQuiet({ clock, running }: Context, timeoutMs: number): Promise<void> {
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
