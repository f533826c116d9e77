/** The one stream to the coordinator: register, heartbeats that renew the lease, commands down, results up. */
import { randomUUID } from 'node:crypto';
import type { ClientDuplexStream } from '@grpc/grpc-js';
import type { Logger } from 'pino';
import type {
  AgentServiceClient,
  Command,
  CommandResult,
  HostedTree,
  Register,
  SessionRequest,
  SessionResponse,
  TreeFilling,
} from '../../proto/gen/holdfast/v1/agent';
import type { Lease } from '../lease';
import { monotonicClock } from '../lease';
import type { ReportProgress } from './dispatcher';

const RECONNECT_MS = 300;
/** Results kept for a coordinator that asks again after a reconnect. */
const REMEMBERED_RESULTS = 500;

type Stream = ClientDuplexStream<SessionRequest, SessionResponse>;
type Message = NonNullable<SessionRequest['message']>;

export interface HostedEnd {
  readonly tree: HostedTree;
  readonly exit: { readonly code?: number; readonly signal?: number };
  readonly memoryLost: string;
  readonly seatGone: boolean;
}

/** What the coordinator is told of the node's trees. */
export interface HostedTrees {
  all(): readonly HostedTree[];
  unreportedEnds(): readonly HostedEnd[];
  /** The coordinator knows of the end. */
  forget(job: string, treeId: string, incarnation: number): void;
}

export interface ConnectionOptions {
  readonly client: AgentServiceClient;
  readonly lease: Lease;
  readonly trees: HostedTrees;
  readonly log: Logger;
  readonly filling: () => TreeFilling[];
  readonly register: () => Omit<Register, 'instance' | 'trees'>;
  readonly execute: (command: Command, report: ReportProgress) => Promise<CommandResult>;
  /** @param isOther not the coordinator of the last welcome: what that one had in flight here, nobody will end */
  readonly onWelcome: (isOther: boolean) => void;
}

export class Connection {
  private readonly instance = randomUUID();
  private readonly results = new Map<string, Promise<CommandResult>>();
  private readonly heartbeats = new Map<number, number>();
  private stream: Stream | null = null;
  private heartbeatTimer: NodeJS.Timeout | null = null;
  private reconnectTimer: NodeJS.Timeout | null = null;
  /** The instance that welcomed us last. */
  private coordinator = '';
  private sequence = 0;
  private leaseMs = 0;
  private closed = false;

  constructor(private readonly options: ConnectionOptions) {}

  open(): void {
    const stream = this.options.client.session();
    this.stream = stream;
    stream.on('data', (response: SessionResponse) => this.onMessage(response));
    stream.on('error', (error) => this.onLost(stream, error.message));
    stream.on('end', () => this.onLost(stream, 'the coordinator ended the stream'));
    const trees = this.options.trees
      .all()
      .map(({ job, treeId, incarnation, rootPid }) => ({ job, treeId, incarnation, rootPid }));
    const ended = this.options.trees.unreportedEnds().map(({ tree }) => tree);
    const endedTrees = ended.map(({ job, treeId, incarnation, rootPid }) => ({
      job,
      treeId,
      incarnation,
      rootPid,
    }));
    this.send({
      $case: 'register',
      value: { ...this.options.register(), instance: this.instance, trees: [...trees, ...endedTrees] },
    });
  }

  close(): void {
    this.closed = true;
    if (this.reconnectTimer) clearTimeout(this.reconnectTimer);
    this.stopHeartbeats();
    this.stream?.end();
    this.options.client.close();
  }

  reportEnd({ tree, exit, memoryLost, seatGone }: HostedEnd): void {
    const { job, treeId, incarnation } = tree;
    const value = {
      job,
      treeId,
      incarnation,
      exitCode: exit.code,
      signal: exit.signal,
      memoryLost,
      seatGone,
    };
    this.send({ $case: 'treeEnded', value });
  }

  private onMessage({ message }: SessionResponse): void {
    switch (message?.$case) {
      case 'welcome':
        this.leaseMs = message.value.leaseMs;
        this.startHeartbeats(message.value.heartbeatMs);
        for (const end of this.options.trees.unreportedEnds()) this.reportEnd(end);
        this.onCoordinator(message.value.instance);
        break;
      case 'heartbeatAck':
        this.onHeartbeatAck(message.value.sequence);
        break;
      case 'command':
        void this.onCommand(message.value);
        break;
      case 'treeEndedAck':
        this.options.trees.forget(message.value.job, message.value.treeId, message.value.incarnation);
        break;
    }
  }

  private onCoordinator(instance: string): void {
    const isOther = this.coordinator !== '' && this.coordinator !== instance;
    this.coordinator = instance;
    this.options.onWelcome(isOther);
  }

  /** Executed once per id, however often it is sent. */
  private async onCommand(command: Command): Promise<void> {
    const report: ReportProgress = (phase, doneBytes, totalBytes) =>
      this.send({ $case: 'progress', value: { commandId: command.id, phase, doneBytes, totalBytes } });
    const known = this.results.get(command.id);
    const result = known ?? this.options.execute(command, report);
    if (!known) this.remember(command.id, result);
    this.send({ $case: 'result', value: await result });
  }

  private remember(id: string, result: Promise<CommandResult>): void {
    this.results.set(id, result);
    const oldest = this.results.keys().next();
    if (this.results.size > REMEMBERED_RESULTS && !oldest.done) this.results.delete(oldest.value);
  }

  private startHeartbeats(heartbeatMs: number): void {
    this.stopHeartbeats();
    const beat = () => {
      this.sequence++;
      this.heartbeats.set(this.sequence, monotonicClock.nowMs());
      this.send({ $case: 'heartbeat', value: { sequence: this.sequence, filling: this.options.filling() } });
    };
    beat();
    this.heartbeatTimer = setInterval(beat, heartbeatMs);
  }

  private stopHeartbeats(): void {
    if (this.heartbeatTimer) clearInterval(this.heartbeatTimer);
    this.heartbeatTimer = null;
    this.heartbeats.clear();
  }

  private onHeartbeatAck(sequence: number): void {
    const sentMs = this.heartbeats.get(sequence);
    if (sentMs === undefined) return;
    for (const older of this.heartbeats.keys()) if (older <= sequence) this.heartbeats.delete(older);
    this.options.lease.renew(sentMs, this.leaseMs);
  }

  private onLost(stream: Stream, reason: string): void {
    if (this.stream !== stream || this.closed) return;
    this.options.log.warn({ reason }, 'coordinator lost; connecting again');
    this.stream = null;
    this.stopHeartbeats();
    this.reconnectTimer = setTimeout(() => this.open(), RECONNECT_MS);
  }

  private send(message: Message): void {
    this.stream?.write({ message });
  }
}
