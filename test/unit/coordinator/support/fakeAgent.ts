/** An agent that speaks the real protocol over a real connection, but has no processes. */
import { createHash, randomUUID } from 'node:crypto';
import { type ChannelCredentials, type ClientDuplexStream, credentials } from '@grpc/grpc-js';
import type { Execute } from '../../../../agent/telemetry/execute';
import { HoldfastError } from '../../../../core/errors';
import { channelOptions } from '../../../../core/rpc/channel';
import { fromGrpcError, toErrorDetail } from '../../../../core/rpc/errors';
import {
  AgentServiceClient,
  type Command,
  type CommandResult,
  type HostedTree,
  type SessionRequest,
  type SessionResponse,
} from '../../../../proto/gen/holdfast/v1/agent';
import { NodeFacts, NodePart, type TreeImage } from '../../../../proto/gen/holdfast/v1/manifest';
import type { ObjectStore } from '../../../../store/contract';

type Body = NonNullable<Command['body']>;
type Case = Body['$case'];
type Stream = ClientDuplexStream<SessionRequest, SessionResponse>;
type Override = (command: Command) => Promise<CommandResult['body']> | CommandResult['body'];

export interface FakeAgentOptions {
  readonly address: string;
  readonly node: string;
  readonly ip: string;
  readonly store: ObjectStore;
  readonly facts?: Partial<NodeFacts>;
  /** Plain text without. */
  readonly credentials?: ChannelCredentials;
}

const PAGES = Buffer.from('pages');
const NEVER = new Promise<never>(() => {});

export class FakeAgent {
  readonly received: Command[] = [];
  readonly trees = new Map<string, HostedTree>();
  /** What a command does instead of the usual. */
  readonly overrides = new Map<Case, Override>();
  /** Around every command, as a real agent has it. */
  around: (execute: Execute) => Execute = (execute) => execute;
  /** Called before each command; may end the agent. */
  onCommand: (command: Command) => void = () => {};
  instance = randomUUID();
  registrations = 0;
  heartbeatsEnabled = true;
  readonly acks: string[] = [];
  /** How many packs of older generations a checkpoint names besides its own. */
  olderPacks = 0;
  readonly #older = new Map<string, TreeImage['packs']>();
  /** Connects again when the coordinator ends the session. */
  returns = false;
  #client: AgentServiceClient;
  #stream: Stream | null = null;
  #heartbeat: NodeJS.Timeout | null = null;
  #pid = 1000;
  #welcome: () => void = () => {};
  #keyPrefix = '';
  #writing: Promise<void> = Promise.resolve();
  readonly #epochs = new Map<string, number>();
  #captured: NodePart | undefined;

  constructor(private readonly options: FakeAgentOptions) {
    this.#client = new AgentServiceClient(
      options.address,
      options.credentials ?? credentials.createInsecure(),
      {
        ...channelOptions(),
        // The tests' leases are short.
        'grpc.max_reconnect_backoff_ms': 150,
      },
    );
  }

  get node(): string {
    return this.options.node;
  }

  get isConnected(): boolean {
    return this.#stream !== null;
  }

  facts(): NodeFacts {
    return NodeFacts.fromPartial({
      hostname: this.options.node,
      kernelRelease: '6.18.0',
      criuVersion: '4.2.1',
      architecture: 'x86_64',
      cpuFlags: ['sse2', 'avx2'],
      addresses: [this.options.ip],
      memoryBytes: 1 << 30,
      ...this.options.facts,
    });
  }

  /** Resolves when the coordinator has welcomed it; rejects when it refuses. */
  async connect(): Promise<this> {
    let refuse: (error: Error) => void = () => {};
    const welcomed = new Promise<void>((resolve, reject) => {
      this.#welcome = resolve;
      refuse = reject;
    });
    const stream = this.#client.session();
    this.#stream = stream;
    stream.on('data', (response: SessionResponse) => this.#receive(stream, response));
    stream.on('error', (error) => {
      refuse(fromGrpcError(error));
      this.#onEnd(stream);
    });
    stream.on('end', () => this.#onEnd(stream));
    const value = {
      node: this.options.node,
      facts: this.facts(),
      version: 'test',
      trees: [...this.trees.values()],
      instance: this.instance,
    };
    stream.write({ message: { $case: 'register', value } });
    await welcomed;
    this.registrations++;
    return this;
  }

  #onEnd(stream: Stream): void {
    if (this.#stream !== stream) return;
    this.#forget();
    if (this.returns) setTimeout(() => this.returns && this.connect().catch(() => {}), 30);
  }

  #forget(): void {
    this.#stream = null;
    if (this.#heartbeat) clearInterval(this.#heartbeat);
  }

  /** The connection breaks; the agent lives on. */
  disconnect(): void {
    const stream = this.#stream;
    this.#forget();
    stream?.cancel();
  }

  /** The node is gone, with everything on it. */
  vanish(): void {
    this.disconnect();
    this.trees.clear();
    this.instance = randomUUID();
  }

  close(): void {
    this.returns = false;
    this.disconnect();
    this.#client.close();
  }

  /** The commands of a kind that arrived so far. */
  commands(kind: Case): Command[] {
    return this.received.filter(({ body }) => body?.$case === kind);
  }

  kinds(): string[] {
    return this.received.map(({ body }) => body?.$case ?? '');
  }

  endTree(
    treeId: string,
    end: { exitCode?: number; signal?: number; memoryLost?: string; seatGone?: boolean },
  ): void {
    const tree = [...this.trees.values()].find((hosted) => hosted.treeId === treeId);
    if (tree === undefined) throw new Error(`${this.node} hosts no tree ${treeId}`);
    this.trees.delete(`${tree.job}/${tree.treeId}`);
    const { job, incarnation } = tree;
    const value = { job, treeId, incarnation, memoryLost: '', seatGone: false, ...end };
    this.send({ $case: 'treeEnded', value });
  }

  send(message: NonNullable<SessionRequest['message']>): void {
    this.#stream?.write({ message });
  }

  #receive(stream: Stream, { message }: SessionResponse): void {
    switch (message?.$case) {
      case 'welcome': {
        let sequence = 0;
        const beat = () => {
          if (this.heartbeatsEnabled)
            stream.write({ message: { $case: 'heartbeat', value: { sequence: ++sequence, filling: [] } } });
        };
        this.#heartbeat = setInterval(beat, message.value.heartbeatMs);
        beat();
        this.#welcome();
        return;
      }
      case 'command':
        void this.#execute(message.value);
        return;
      case 'treeEndedAck':
        this.acks.push(`${message.value.job}/${message.value.treeId}`);
    }
  }

  async #execute(command: Command): Promise<void> {
    const { id } = command;
    if (this.received.some((known) => known.id === id)) return;
    this.received.push(command);
    this.onCommand(command);
    if (!this.isConnected || command.body === undefined) return;
    const execute = this.around((admitted) => this.#resultOf(admitted));
    this.send({ $case: 'result', value: await execute(command, () => {}) });
  }

  async #resultOf(command: Command): Promise<CommandResult> {
    const { id, body } = command;
    const override = body && this.overrides.get(body.$case);
    try {
      this.#admit(command);
      const done = await (override ? override(command) : this.perform(command));
      return { id, error: undefined, body: done };
    } catch (thrown) {
      return { id, error: toErrorDetail(thrown), body: undefined };
    }
  }

  /** An answer that never comes. */
  static hang(): Promise<never> {
    return NEVER;
  }

  /** As a real agent does (E1). */
  #admit({ job, epoch }: Command): void {
    const known = this.#epochs.get(job) ?? 0;
    if (epoch < known)
      throw new HoldfastError('STALE_EPOCH', `epoch ${epoch} of job ${job} is over: ${known} was seen`);
    this.#epochs.set(job, epoch);
  }

  async perform({ job, body }: Command): Promise<CommandResult['body']> {
    const done = { $case: 'done', value: {} } as const;
    switch (body?.$case) {
      case 'launch': {
        const { treeId, incarnation, spec } = body.value;
        const rootPid = this.host(job, treeId, incarnation);
        return {
          $case: 'started',
          value: { treeId, rootPid, uid: spec?.uid ?? 0, command: spec?.argv[0] ?? '' },
        };
      }
      case 'adopt': {
        const { treeId, incarnation, pid, callerUid } = body.value;
        this.host(job, treeId, incarnation, pid);
        return { $case: 'started', value: { treeId, rootPid: pid, uid: callerUid, command: 'found' } };
      }
      case 'discoverSlurm':
        return { $case: 'discoveredSlurm', value: { processes: [] } };
      case 'prepare':
        this.#keyPrefix = body.value.keyPrefix;
        if (body.value.baseGeneration === 0) this.#older.clear();
        return { $case: 'prepared', value: { blockers: [], advice: [] } };
      case 'capture':
        this.#captured = this.part(job);
        this.#writing = this.#storePacks(job);
        await this.#writing;
        return { $case: 'captured', value: { capturedBytes: 4096 } };
      case 'release':
        if (body.value.kill) for (const tree of this.of(job)) this.endTree(tree.treeId, { signal: 9 });
        return { $case: 'released', value: { heldMs: 7 } };
      case 'upload':
        return { $case: 'uploaded', value: { part: this.#captured, uploadedBytes: 5 } };
      case 'stage':
        for (const tree of body.value.part?.trees ?? []) this.host(job, tree.treeId, body.value.incarnation);
        return done;
      case 'resume':
        return { $case: 'resumed', value: { trees: this.of(job) } };
      case 'kill': {
        const { belowIncarnation } = body.value;
        for (const tree of this.of(job)) {
          if (belowIncarnation === 0 || tree.incarnation < belowIncarnation)
            this.endTree(tree.treeId, { signal: 9 });
        }
        return done;
      }
      case 'abort':
        // An agent that has answered Abort writes nothing more of that attempt.
        await this.#writing;
        return done;
      case 'restore':
        return done;
      case undefined:
        throw new HoldfastError('INVALID_ARGUMENT', 'no body');
    }
  }

  of(job: string): HostedTree[] {
    return [...this.trees.values()].filter((tree) => tree.job === job);
  }

  host(job: string, treeId: string, incarnation: number, rootPid = ++this.#pid): number {
    this.trees.set(`${job}/${treeId}`, { job, treeId, incarnation, rootPid });
    return rootPid;
  }

  async #storePacks(job: string): Promise<void> {
    const keys = this.of(job).map(({ treeId }) => this.#packKey(treeId));
    await Promise.all(keys.map((key) => this.options.store.put(key, PAGES)));
  }

  /** The tree's newest pack, and as many older ones as it is told to keep. */
  #packsOf(treeId: string): TreeImage['packs'] {
    const own = {
      key: this.#packKey(treeId),
      sizeBytes: 5,
      sha256: createHash('sha256').update(PAGES).digest('hex'),
      encryptionKey: undefined,
    };
    const packs = [...(this.#older.get(treeId) ?? []), own].slice(-1 - this.olderPacks);
    this.#older.set(treeId, packs);
    return packs;
  }

  #packKey(treeId: string): string {
    return `${this.#keyPrefix}/${this.node}/${treeId}/pack-00001`;
  }

  part(job: string): NodePart {
    const trees = this.of(job).map(({ treeId }) => ({
      treeId,
      main: treeId === 'main',
      rootPid: 1,
      heldMs: 7,
      tasks: [{ pid: 1, parentPid: 0, threadCount: 1, comm: 'fake' }],
      packs: this.#packsOf(treeId),
      memory: { capturedBytes: 4096 },
      sharedFiles: [{ path: '/shared/out.log', sizeBytes: 10, writable: true, appendOnly: true }],
    }));
    return NodePart.fromPartial({ node: this.node, facts: this.facts(), trees });
  }
}
