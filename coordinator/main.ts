/** A coordinator of a cluster: it leads, or stands by until it can. */
import { mkdir } from 'node:fs/promises';
import { hostname } from 'node:os';
import { type LogSink, openLog } from '../core/log';
import { serveTools, service } from '../core/rpc/tools';
import { openTracing, type Tracing } from '../core/telemetry/tracing';
import { watchCertificates } from '../core/tls/watch';
import { CoordinatorServiceService } from '../proto/gen/holdfast/v1/coordinator';
import { withObservers } from '../store/observed';
import { openStore } from '../store/open';
import { CallLimits } from './api/limits';
import { servedCoordinator } from './api/serve';
import { Audit } from './audit/audit';
import { type Clock, systemClock } from './clock';
import { EventLog } from './events/log';
import { Post } from './leadership/post';
import { Standby } from './leadership/standby';
import { Leader } from './leading';
import { type CoordinatorOptionsInput, parseCoordinatorOptions } from './options';
import { policiesOf } from './policies';
import { Queues } from './queues/queues';
import { openRedis } from './redis/open';
import { reloaded } from './reload';
import { listen, openCertificates } from './server';
import { serveControllerHooks } from './slurm/hooks';
import { Telemetry } from './telemetry/telemetry';
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
  /** As of now; else it stands by. */
  readonly leads: boolean;
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

/** Resolves when it leads or stands by. @throws HoldfastError when an option is wrong, or Redis, the store or an address cannot be used */
export async function startCoordinator(
  input: CoordinatorOptionsInput,
  parts: CoordinatorParts,
): Promise<Coordinator> {
  let options = parseCoordinatorOptions(input);
  const clock = parts.clock ?? systemClock;
  const log = openLog('coordinator', options.logLevel, parts.logSink);
  const telemetry = new Telemetry(parts.tracing ?? openTracing('holdfast-coordinator', hostname(), log));
  await mkdir(options.stateDirectory, { recursive: true, mode: 0o700 });
  const opened = await openRedis({
    url: options.redisUrl,
    stateDirectory: options.stateDirectory,
    report: (message) => log.warn(message),
  });
  const observed = (admit?: (key: string) => Promise<void>) =>
    withObservers(openStore(options.storeUrl, process.env, {}, admit), telemetry.storeObservers);
  const store = observed();
  await store.open();
  // A held job must not wait for a Redis that is gone: its commands fail after a while, and the operation aborts.
  const redis = opened.connect({ maxRetriesPerRequest: 3, commandTimeout: 5_000 });
  redis.on('error', (err) => log.error({ err }, 'redis'));
  const reader = opened.connect();
  reader.on('error', (err) => log.error({ err }, 'redis'));
  const events = await EventLog.open({ reader, redis, clock, log });
  const policies = () => policiesOf(options);
  const openQueues = (term: number) => new Queues(opened.connect(), term, log);
  const guard = {
    ...{ clock, log },
    audit: await Audit.open(options.auditLog, log, () => clock.monotonicMs()),
    limits: new CallLimits(() => policies().userRate, clock, parts.maxOpenCalls),
    roles: new Roles(policies, parts.users ?? systemUsers, clock, log),
  };
  const site = {
    ...{ options, log, clock, redis, telemetry, policies, openStore: observed, openQueues, guard, events },
    isAlone: opened.isOwn,
  };
  const advertised: { address: string } = { address: options.advertise ?? '' };
  const post = new Post<Leader>({
    ...{ redis, clock, log, leaseMs: options.leaderLeaseMs, isAlone: opened.isOwn },
    address: () => advertised.address,
    standby: (leader) => new Standby({ redis, store, clock, log, policies, events, leader }),
    lead: (term) => Leader.begin(site, term),
  });
  await telemetry.serve(post, redis, options.metrics);
  const certificates = await openCertificates(options);
  const certificateWatch = certificates && watchCertificates(certificates, log);
  telemetry.certificate(certificates);
  const server = await listen(post, guard, options, certificates);
  advertised.address ||= reachable(server.address);
  await post.start();
  const tools = await serveTools({
    socketPath: options.toolsSocket,
    peerCredentials: parts.peerCredentials,
    node: null,
    services: (identity) => [
      service(
        CoordinatorServiceService,
        servedCoordinator({ guard, handlers: post.handlers }, 'socket', () => identity),
      ),
    ],
    onError: (err) => log.warn({ err }, 'local connection refused'),
  });
  const { toolsSocket } = options;
  const { peerCredentials } = parts;
  const slurmHooks = options.slurm
    ? await serveControllerHooks({ toolsSocket, peerCredentials, log, leading: () => post.leading })
    : null;
  telemetry.setReady(true);
  void guard.roles.warnOfUnknown();
  log.info(
    {
      ...{ address: server.address, advertise: advertised.address },
      store: store.description,
      redis: opened.description,
      metrics: telemetry.address,
    },
    'coordinator ready',
  );

  return {
    address: server.address,
    toolsSocket: options.toolsSocket,
    get leads() {
      return post.leads();
    },
    mungeAddress: server.mungeAddress,
    metricsAddress: telemetry.address,
    reload: (next) => {
      const { needRestart, ...change } = reloaded(options, next);
      options = change.options;
      log.level = options.logLevel;
      post.leading?.context.gate.admit();
      guard.audit.reopen();
      void guard.roles.warnOfUnknown();
      void certificateWatch?.look();
      log.info({ reloaded: change.reloaded, needRestart }, 'configuration read again');
    },
    refuse: (err) => log.error({ err }, 'the configuration cannot be used: it stays as it is'),
    close: async () => {
      telemetry.setReady(false);
      post.retire();
      const { leading } = post;
      await leading?.close();
      await slurmHooks?.close();
      await tools.close();
      server.close();
      certificateWatch?.close();
      await post.close();
      events.close();
      redis.disconnect();
      await store.close();
      await opened.close();
      await guard.audit.close();
      await telemetry.close();
    },
  };
}

/** Where others reach what listens there. */
function reachable(listening: string): string {
  const at = listening.lastIndexOf(':');
  const host = listening.slice(0, at).replace(/^\[|\]$/g, '');
  const isEverywhere = host === '0.0.0.0' || host === '::';
  return isEverywhere ? `${hostname()}${listening.slice(at)}` : listening;
}
