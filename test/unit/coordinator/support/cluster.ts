/** A whole coordinator (embedded Redis, directory store, real sockets) with fake agents. */
import { type ChildProcess, type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { credentials, type Metadata } from '@grpc/grpc-js';
import { type Clock, systemClock } from '../../../../coordinator/clock';
import { type Coordinator, type CoordinatorParts, startCoordinator } from '../../../../coordinator/main';
import type { CoordinatorOptionsInput } from '../../../../coordinator/options';
import type { FaultPoint } from '../../../../core/faults';
import { invoke } from '../../../../core/rpc/handlers';
import { identityMetadata } from '../../../../core/rpc/identity';
import {
  CoordinatorServiceClient,
  type Job,
  type JobState,
  type Node,
  type Operation,
  type WatchResponse,
} from '../../../../proto/gen/holdfast/v1/coordinator';
import { JobSpec, LiveMode } from '../../../../proto/gen/holdfast/v1/manifest';
import type { ObjectStore } from '../../../../store/contract';
import { openStore } from '../../../../store/open';
import { FakeAgent } from './fakeAgent';

export const LEASE_MS = 600;
const TYPESCRIPT = join(__dirname, '../../../typescript.cjs');

export class FakeCluster {
  readonly agents = new Map<string, FakeAgent>();
  readonly #users: User[] = [];
  #process: { child: ChildProcess; exited: Promise<[number | null, NodeJS.Signals | null]> } | null = null;
  coordinator: Coordinator | null = null;
  address = '';
  #parts: Partial<CoordinatorParts> = {};
  /** Beyond what is usual, from the next start on. */
  extraOptions: Partial<CoordinatorOptionsInput> = {};
  /** How far the coordinator's calendar is ahead of everybody's. */
  aheadMs = 0;
  /** What the coordinator does again and again, by period: a test need not wait for it. */
  readonly periodic = new Map<number, () => void>();

  private constructor(
    readonly directory: string,
    readonly store: ObjectStore,
  ) {}

  /**
   * @param fault of core/faults.ts: the coordinator is a process of its own, which dies there; null: none is started yet
   */
  static async start(
    nodes: readonly string[],
    fault?: FaultPoint | `${FaultPoint}:error` | null,
    extraOptions: Partial<CoordinatorOptionsInput> = {},
  ): Promise<FakeCluster> {
    const directory = await mkdtemp('/tmp/hf-');
    const store = openStore(`file://${join(directory, 'store')}`);
    await store.open();
    const cluster = new FakeCluster(directory, store);
    cluster.extraOptions = extraOptions;
    if (fault === undefined) await cluster.startCoordinator();
    else if (fault !== null) await cluster.startProcess(fault);
    await Promise.all(nodes.map((node) => cluster.addAgent(node).connect()));
    return cluster;
  }

  /** A coordinator in this process, watched by the test. */
  static async watched(
    nodes: readonly string[],
    extra: Partial<CoordinatorOptionsInput>,
    parts: Partial<CoordinatorParts> = {},
  ): Promise<FakeCluster> {
    const cluster = await FakeCluster.start([], null);
    cluster.extraOptions = extra;
    cluster.#parts = parts;
    await cluster.startCoordinator();
    await Promise.all(nodes.map((node) => cluster.addAgent(node).connect()));
    return cluster;
  }

  /** A coordinator in a process of its own, with variables of its own. @param onLog each piece of what it logs */
  static async apart(
    nodes: readonly string[],
    extra: Partial<CoordinatorOptionsInput>,
    environment: NodeJS.ProcessEnv,
    onLog: (text: string) => void,
  ): Promise<FakeCluster> {
    const cluster = await FakeCluster.start([], null);
    cluster.extraOptions = extra;
    await cluster.startProcess('', environment, onLog);
    await Promise.all(nodes.map((node) => cluster.addAgent(node).connect()));
    return cluster;
  }

  options(): CoordinatorOptionsInput {
    return {
      listen: this.address || '127.0.0.1:0',
      insecureLoopback: true,
      stateDirectory: join(this.directory, 'state'),
      storeUrl: `file://${join(this.directory, 'store')}`,
      toolsSocket: join(this.directory, 'run', 'coordinator.sock'),
      leaseMs: LEASE_MS,
      heartbeatMs: 50,
      logLevel: process.env.HOLDFAST_TEST_LOG ?? 'silent',
      ...this.extraOptions,
    };
  }

  async startCoordinator(): Promise<void> {
    const peerCredentials = () => ({ pid: 1, uid: 0, gid: 0 });
    const clock: Clock = {
      ...systemClock,
      wallMs: () => Date.now() + this.aheadMs,
      every: (periodMs, run) => {
        this.periodic.set(periodMs, run);
        return systemClock.every(periodMs, run);
      },
    };
    // Nobody is looked up: those are processes, and the names say nothing here.
    const users = { find: async () => null };
    const parts = { peerCredentials, clock, users, ...this.#parts };
    this.coordinator = await startCoordinator(this.options(), parts);
    this.address = this.coordinator.address;
  }

  /** Resolves when it is ready. */
  async startProcess(
    fault: FaultPoint | `${FaultPoint}:error` | '',
    environment: NodeJS.ProcessEnv = {},
    onLog: ((text: string) => void) | null = null,
  ): Promise<void> {
    const program = [join(__dirname, 'coordinatorProcess.ts'), JSON.stringify(this.options())];
    const child = spawn('node', ['--require', TYPESCRIPT, ...program], {
      env: { ...process.env, HOLDFAST_FAULT: fault, ...environment },
      stdio: ['ignore', 'pipe', onLog === null ? 'inherit' : 'pipe'],
    }) as ChildProcessByStdio<null, Readable, Readable | null>;
    child.stderr?.setEncoding('utf8').on('data', (text: string) => onLog?.(text));
    const exited = once(child, 'exit') as Promise<[number | null, NodeJS.Signals | null]>;
    this.#process = { child, exited };
    const failed = exited.then(([code]) => {
      throw new Error(`the coordinator ended with ${code} before it was ready`);
    });
    const [line] = await Promise.race([once(child.stdout, 'data'), failed]);
    this.address = String(line).trim();
  }

  /** Asks the process to stop. */
  terminate(): void {
    this.#process?.child.kill('SIGTERM');
  }

  /** How the process ended; null: by itself. */
  async died(): Promise<NodeJS.Signals | null> {
    const [, signal] = (await this.#process?.exited) ?? [];
    return signal ?? null;
  }

  async stopCoordinator(): Promise<void> {
    this.#process?.child.kill('SIGKILL');
    await this.#process?.exited;
    await this.coordinator?.close();
    this.coordinator = null;
  }

  addAgent(
    node: string,
    facts: FakeAgent['facts'] extends () => infer F ? Partial<F> : never = {},
  ): FakeAgent {
    const ip = `10.0.0.${this.agents.size + 1}`;
    const agent = new FakeAgent({ address: this.address, node, ip, store: this.store, facts });
    this.agents.set(node, agent);
    return agent;
  }

  agent(node: string): FakeAgent {
    const agent = this.agents.get(node);
    if (agent === undefined) throw new Error(`no agent ${node}`);
    return agent;
  }

  async stop(): Promise<void> {
    for (const agent of this.agents.values()) agent.close();
    for (const { client } of this.#users) client.close();
    await this.stopCoordinator();
    await this.store.close();
    await rm(this.directory, { recursive: true, force: true });
  }

  /** A user's calls, as an agent would forward them. */
  user(uid = 1000, node = 'n1'): User {
    const user = new User(this.address, uid, node);
    this.#users.push(user);
    return user;
  }
}

export class User {
  readonly client: CoordinatorServiceClient;

  constructor(
    address: string,
    private readonly uid: number,
    private readonly node: string,
  ) {
    this.client = new CoordinatorServiceClient(address, credentials.createInsecure());
  }

  get metadata(): Metadata {
    return identityMetadata({ uid: this.uid, gid: this.uid, pid: 4242, node: this.node });
  }

  async submit(spec: Partial<JobSpec> = {}): Promise<Job> {
    const full = JobSpec.fromPartial({ argv: ['/bin/work'], workingDirectory: '/', ...spec });
    const request = { spec: full, resume: '' };
    const { job } = await invoke(this.client, this.client.submitJob, request, { metadata: this.metadata });
    if (job === undefined) throw new Error('no job');
    return job;
  }

  async job(id: string): Promise<Job> {
    const { job } = await invoke(this.client, this.client.getJob, { job: id }, { metadata: this.metadata });
    if (job === undefined) throw new Error('no job');
    return job;
  }

  async nodes(): Promise<Node[]> {
    return (await invoke(this.client, this.client.listNodes, {}, { metadata: this.metadata })).nodes;
  }

  /** Starts a member tree on a host; resolves when its command has exited. */
  async member(job: string, host: string): Promise<number> {
    const request = { job, host, argv: ['orted'], environment: {}, workingDirectory: '' };
    const { metadata } = this;
    return (await invoke(this.client, this.client.launchMember, request, { metadata })).exitCode;
  }

  async checkpoint(job: string, stop = false): Promise<Operation> {
    return this.ended(await this.requestCheckpoint(job, stop));
  }

  async restart(job: string, nodes: string[] = []): Promise<Operation> {
    return this.ended(await this.requestRestart(job, nodes));
  }

  async requestCheckpoint(job: string, stop = false): Promise<string> {
    const request = { job, stop, live: LiveMode.AUTO, now: false, cause: '' };
    const { metadata } = this;
    return (await invoke(this.client, this.client.checkpoint, request, { metadata })).operation;
  }

  async requestRestart(job: string, nodes: string[] = []): Promise<string> {
    const source = { $case: 'job', value: job } as const;
    const request = { source, nodes, outputPath: '', lazy: false, deadlineMs: 0, walltimeMs: 0 };
    const { metadata } = this;
    return (await invoke(this.client, this.client.restart, request, { metadata })).operation;
  }

  /** The operation's last state, from its watch. */
  async ended(operation: string): Promise<Operation> {
    let last: Operation | undefined;
    for await (const event of this.watch({ $case: 'operation', value: operation })) {
      if (event.event?.$case === 'operation') last = event.event.value;
    }
    if (last === undefined) throw new Error('no event');
    return last;
  }

  /** Follows the job until it is in the state. */
  async until(job: string, state: JobState): Promise<Job> {
    return this.untilJob(job, (now) => now.state === state);
  }

  async untilJob(job: string, isThere: (job: Job) => boolean): Promise<Job> {
    for await (const { event } of this.watch({ $case: 'job', value: job })) {
      if (event?.$case === 'job' && isThere(event.value)) return event.value;
    }
    const last = await this.job(job);
    if (isThere(last)) return last;
    throw new Error(`job ${job} ended as ${last.state}: ${last.reason}`);
  }

  async *watch(
    subject: { $case: 'job' | 'operation'; value: string },
    after = '',
  ): AsyncGenerator<WatchResponse> {
    const stream = this.client.watch({ subject, after }, this.metadata);
    try {
      for await (const event of stream) yield event as WatchResponse;
    } finally {
      stream.cancel();
    }
  }
}
