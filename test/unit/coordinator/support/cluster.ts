/** A whole coordinator (embedded Redis, directory store, real sockets) with fake agents. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { credentials, type Metadata } from '@grpc/grpc-js';
import { type Coordinator, startCoordinator } from '../../../../coordinator/main';
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

  private constructor(
    readonly directory: string,
    readonly store: ObjectStore,
    private readonly more: Partial<CoordinatorOptionsInput>,
  ) {}

  /** @param fault of core/faults.ts: the coordinator is a process of its own, which dies there */
  static async start(
    nodes: readonly string[],
    fault?: FaultPoint | `${FaultPoint}:error`,
    more: Partial<CoordinatorOptionsInput> = {},
  ): Promise<FakeCluster> {
    const directory = await mkdtemp('/tmp/hf-');
    const store = openStore(`file://${join(directory, 'store')}`);
    await store.open();
    const cluster = new FakeCluster(directory, store, more);
    if (fault === undefined) await cluster.startCoordinator();
    else await cluster.startProcess(fault);
    await Promise.all(nodes.map((node) => cluster.addAgent(node).connect()));
    return cluster;
  }

  options() {
    return {
      listen: this.address || '127.0.0.1:0',
      insecureLoopback: true,
      stateDirectory: join(this.directory, 'state'),
      storeUrl: `file://${join(this.directory, 'store')}`,
      toolsSocket: join(this.directory, 'run', 'coordinator.sock'),
      leaseMs: LEASE_MS,
      heartbeatMs: 50,
      logLevel: process.env.HOLDFAST_TEST_LOG ?? 'silent',
      ...this.more,
    };
  }

  async startCoordinator(): Promise<void> {
    const peerCredentials = () => ({ pid: 1, uid: 0, gid: 0 });
    this.coordinator = await startCoordinator(this.options(), { peerCredentials });
    this.address = this.coordinator.address;
  }

  /** Resolves when it is ready. */
  async startProcess(fault: FaultPoint | `${FaultPoint}:error` | ''): Promise<void> {
    const program = [join(__dirname, 'coordinatorProcess.ts'), JSON.stringify(this.options())];
    const child = spawn('node', ['--require', TYPESCRIPT, ...program], {
      env: { ...process.env, HOLDFAST_FAULT: fault },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const exited = once(child, 'exit') as Promise<[number | null, NodeJS.Signals | null]>;
    this.#process = { child, exited };
    const failed = exited.then(([code]) => {
      throw new Error(`the coordinator ended with ${code} before it was ready`);
    });
    const [line] = await Promise.race([once(child.stdout, 'data'), failed]);
    this.address = String(line).trim();
  }

  /** How the process ended. */
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
    const request = { spec: JobSpec.fromPartial({ argv: ['/bin/work'], workingDirectory: '/', ...spec }) };
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
    const request = { job, stop, live: LiveMode.AUTO, now: false };
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

  async *watch(subject: { $case: 'job' | 'operation'; value: string }): AsyncGenerator<WatchResponse> {
    const stream = this.client.watch({ subject }, this.metadata);
    try {
      for await (const event of stream) yield event as WatchResponse;
    } finally {
      stream.cancel();
    }
  }
}
