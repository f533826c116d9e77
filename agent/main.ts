/** The agent: one per node, root. */
import { ChannelCredentials } from '@grpc/grpc-js';
import { HoldfastError } from '../core/errors';
import { openLog } from '../core/log';
import { channelOptions } from '../core/rpc/channel';
import { forwardingHandlers } from '../core/rpc/forward';
import { serveTools, service } from '../core/rpc/tools';
import { openTracing } from '../core/telemetry/tracing';
import { addressOptions, liveCredentials } from '../core/tls/credentials';
import { LiveCertificates } from '../core/tls/live';
import { watchCertificates } from '../core/tls/watch';
import { VERSION } from '../core/version';
import { peerCredentials } from '../native';
import { AgentServiceClient, SeatServiceService } from '../proto/gen/holdfast/v1/agent';
import { CoordinatorServiceClient, CoordinatorServiceService } from '../proto/gen/holdfast/v1/coordinator';
import { withObservers } from '../store/observed';
import { openStore } from '../store/open';
import type { AgentContext } from './context';
import { findCriu } from './criu/program';
import { openKeyRing } from './encryption/open';
import { nodeFacts, ownAddresses } from './facts';
import { Fencing } from './fencing';
import { Lease } from './lease';
import { MemoryBudget } from './memory/budget';
import { TreeMemories } from './memory/treeMemory';
import { UploadLimit } from './memory/uploadLimit';
import { UploadRate } from './memory/uploadRate';
import { dropTranslation } from './network/translation';
import { type AgentOptions, type AgentOptionsInput, parseAgentOptions } from './options';
import { reloaded } from './reload';
import { LazyTrees } from './restart/lazyTrees';
import { RunDirectory } from './runDirectory';
import { Seats } from './seats/seats';
import { seatService } from './seats/service';
import { Connection } from './session/connection';
import { type CoordinatorClients, Coordinators } from './session/coordinators';
import { Dispatcher } from './session/dispatcher';
import { SessionPriority } from './sessionPriority';
import { openSlurm } from './slurm/service';
import { sweep } from './sweep';
import { Telemetry } from './telemetry/telemetry';
import { Trees } from './trees';

export interface Agent {
  /** Resolves once the coordinator has welcomed this node. */
  readonly registered: Promise<void>;
  /** HOST:PORT of the one that leads, as far as is known. */
  readonly coordinator: string;
  /** HOST:PORT of metrics and health. */
  readonly metricsAddress: string | undefined;
  /**
   * Takes over what needs no restart, and says in the log what does.
   * @throws HoldfastError INVALID_ARGUMENT: then nothing changes
   */
  reload(input: AgentOptionsInput): void;
  /** A configuration that cannot be used: it goes on with the one it has. */
  refuse(error: unknown): void;
  close(): Promise<void>;
}

/** How long a stop waits for the memory of trees that were restarted lazily. */
const DRAIN_MS = 30_000;

const hostOf = (address: string): string =>
  address.slice(0, address.lastIndexOf(':')).replace(/^\[|\]$/g, '');

function clientsOf(address: string, certificates: LiveCertificates | null): CoordinatorClients {
  const host = hostOf(address);
  const credentials =
    certificates === null ? ChannelCredentials.createInsecure() : liveCredentials(certificates, host);
  const channel = { ...channelOptions(), ...addressOptions(host) };
  return {
    address,
    agents: new AgentServiceClient(address, credentials, channel),
    users: new CoordinatorServiceClient(address, credentials, channel),
  };
}

async function openCertificates(options: AgentOptions): Promise<LiveCertificates | null> {
  if (options.tlsDirectory) return LiveCertificates.open(options.tlsDirectory, options.node);
  const elsewhere = options.coordinators.find(
    (address) => !/^(127\.|localhost$|\[?::1)/.test(hostOf(address)),
  );
  if (elsewhere !== undefined) {
    throw new HoldfastError(
      'INVALID_ARGUMENT',
      `the coordinator at ${elsewhere} is not on this machine, and no certificates are given`,
      'give --tls DIR (see holdfast ca)',
    );
  }
  return null;
}

export async function startAgent(input: AgentOptionsInput): Promise<Agent> {
  let parsed = parseAgentOptions(input);
  if (process.getuid?.() !== 0) {
    throw new HoldfastError(
      'PERMISSION_DENIED',
      'the agent must run as root',
      'start it as a system service',
    );
  }
  const addresses = parsed.addresses.length > 0 ? parsed.addresses : ownAddresses();
  const options = Object.freeze({ ...parsed, addresses });
  const log = openLog('agent', options.logLevel).child({ node: options.node });
  const criu = await findCriu(options.criuPath);
  const telemetry = new Telemetry(options.node, openTracing('holdfast-agent', options.node, log));
  const store = withObservers(openStore(options.storeUrl, process.env), telemetry.storeObservers);
  await store.open();
  const directory = new RunDirectory(options.runDirectory);
  // When nobody else will ask for it (F1, L1).
  const giveUp = (reason: string): void => {
    log.warn({ reason }, 'what is in flight is given up');
    dispatcher.abortAll(reason).catch((error) => log.error({ error }, 'not given up'));
  };
  // The coordinator counts this node as lost from then on.
  const lease = new Lease(() => {
    telemetry.leaseLost();
    giveUp('the lease of this node ended');
  });
  const trees = new Trees(directory, log);
  const facts = nodeFacts(options.addresses, criu.version);
  const context: AgentContext = {
    ...{ options, directory, store, criu, lease, trees, log, facts },
    seats: new Seats(options.node),
    lazyTrees: new LazyTrees(log),
    memoryBudget: new MemoryBudget(options.memoryBudgetBytes),
    uploadRate: new UploadRate(),
    uploadLimit: new UploadLimit(options.maxUploadBytesPerS),
    keyRing: openKeyRing(options),
    memories: new TreeMemories(options.tracker),
    priority: new SessionPriority(options.nice),
  };
  await telemetry.watch(context, options.metrics);
  await sweep(context);

  const certificates = await openCertificates(options);
  const certificateWatch = certificates && watchCertificates(certificates, log);
  telemetry.certificate(certificates);
  const coordinators = new Coordinators(
    options.coordinators.map((address) => clientsOf(address, certificates)),
  );
  const dispatcher = new Dispatcher(context, new Fencing(directory));
  let welcomed: () => void = () => {};
  const registered = new Promise<void>((resolve) => {
    welcomed = resolve;
  });
  const connection = new Connection({
    client: coordinators,
    register: () => ({ node: options.node, facts, version: VERSION }),
    filling: () => context.lazyTrees.status(),
    execute: telemetry.around((command, report) => dispatcher.execute(command, report)),
    onWelcome: (isOther) => {
      if (isOther) giveUp('the coordinator was started anew');
      welcomed();
    },
    ...{ lease, trees, log },
  });
  const tools = await serveTools({
    socketPath: options.toolsSocket,
    peerCredentials,
    node: options.node,
    services: (caller) => {
      const identity = { ...caller, node: options.node };
      return [
        service(
          CoordinatorServiceService,
          forwardingHandlers(() => coordinators.users, identity),
        ),
        service(SeatServiceService, seatService(context.seats, identity, log)),
      ];
    },
    onError: (error) => log.warn({ err: error }, 'local connection refused'),
  });
  const slurm = await openSlurm({
    ...{ node: options.node, runDirectory: options.runDirectory },
    ...{ client: () => coordinators.users, peerCredentials, log, trees: () => trees.all() },
  });
  connection.open();
  trees.watch((end) => {
    context.lazyTrees.forget(end.tree);
    connection.reportEnd(end);
    context.memories.forget(end.tree);
    const { job, incarnation } = end.tree;
    if (trees.ofJob(job).some((tree) => tree.incarnation === incarnation)) return;
    dropTranslation(directory, job, incarnation).catch((error) =>
      log.error({ error }, 'translation not removed'),
    );
  });

  return {
    registered,
    get coordinator() {
      return coordinators.address;
    },
    metricsAddress: telemetry.address,
    reload: (next) => {
      const { needRestart, ...change } = reloaded(parsed, next);
      parsed = change.options;
      log.level = parsed.logLevel;
      void certificateWatch?.look();
      context.uploadLimit.change(parsed.maxUploadBytesPerS);
      log.info({ reloaded: change.reloaded, needRestart }, 'configuration read again');
    },
    refuse: (err) => log.error({ err }, 'the configuration cannot be used: it stays as it is'),
    close: async () => {
      await dispatcher.abortAll('the agent is being stopped');
      // A tree that is not complete by then ends with us (R1).
      await context.lazyTrees
        .drain(AbortSignal.timeout(DRAIN_MS))
        .catch((error) => log.error({ err: error }, 'not completed'));
      lease.close();
      connection.close();
      certificateWatch?.close();
      await tools.close();
      await slurm.close();
      trees.close();
      await store.close();
      await telemetry.close();
    },
  };
}
