/** An agent without processes: it keeps its epochs, holds, trees and lease, and finds the leader by itself. */
import type { Fleet } from '../../../../coordinator/sessions/fleet';
import type { Link } from '../../../../coordinator/sessions/member';
import { HoldfastError, NotLeaderError } from '../../../../core/errors';
import { toErrorDetail } from '../../../../core/rpc/errors';
import type {
  Command,
  CommandResult,
  HostedTree,
  SessionRequest,
  SessionResponse,
} from '../../../../proto/gen/holdfast/v1/agent';
import { NodeFacts, NodePart } from '../../../../proto/gen/holdfast/v1/manifest';
import type { ObjectStore } from '../../../../store/contract';
import type { Process, World } from './world';

/** A coordinator as agents see it. */
export interface Dialled {
  readonly process: Process;
  /** @throws NotLeaderError */
  readonly fleet: () => Fleet;
}

export interface AgentParts {
  readonly world: World;
  readonly store: ObjectStore;
  readonly node: string;
  readonly ip: string;
  /** Those that are there now. */
  readonly dial: () => readonly Dialled[];
  readonly leaseMs: number;
  /** One message in so many breaks the connection; 0: none. As of now. */
  readonly breaksOneIn: () => number;
  /** As it is understood; a mutation takes all for one. */
  readonly instanceOf: (instance: string) => string;
  readonly onViolation: (text: string) => void;
  /** Nodes that have captured, by generation and epoch: the barrier (B1). */
  readonly captured: Map<string, Set<string>>;
  readonly nodesOf: (job: string) => readonly string[];
}

interface Connection {
  readonly link: Link;
  readonly process: Process;
  readonly fleet: Fleet;
  isOpen: boolean;
  /** Messages of a stream keep their order. */
  upMs: number;
  downMs: number;
}

type Body = CommandResult['body'];
const DONE = { $case: 'done', value: {} } as const;
const RECONNECT_MS = 300;
const UNANSWERED_MS = 500;
/** Beyond that somebody's abort is missing. */
const LONGEST_HOLD_LEASES = 4;

export class SimulatedAgent {
  readonly trees = new Map<string, HostedTree>();
  readonly #epochs = new Map<string, number>();
  readonly #results = new Map<string, Promise<CommandResult>>();
  #connection: Connection | null = null;
  #coordinator = '';
  /** Whom the agent itself cannot tell from another but by the instance in its Welcome. */
  #leader: Fleet | null = null;
  #next = 0;
  #pid = 1000;
  #leaseEndMs = 0;
  #hold: { readonly sinceMs: number; readonly attempt: string } | null = null;
  /** What is in flight; replaced when it is given up. */
  #attempt: { id: string; keyPrefix: string; part: NodePart | null } | null = null;

  constructor(private readonly parts: AgentParts) {}

  get isHolding(): boolean {
    return this.#hold !== null;
  }

  get isConnected(): boolean {
    return this.#connection?.isOpen === true;
  }

  open(): void {
    const { world, dial } = this.parts;
    const all = dial();
    const dialled = all[this.#next % Math.max(1, all.length)];
    if (dialled === undefined || dialled.process.isDead) {
      this.#again();
      return;
    }
    let isAnswered = false;
    world.after(UNANSWERED_MS, () => {
      if (isAnswered) return;
      isAnswered = true;
      this.#again();
    });
    world.after(1 + world.below(10), () =>
      dialled.process.enter(() => {
        if (isAnswered) return;
        isAnswered = true;
        this.#register(dialled);
      }),
    );
  }

  #again(): void {
    this.#next++;
    this.parts.world.after(RECONNECT_MS, () => this.open());
  }

  #register({ process, fleet }: Dialled): void {
    const { world, node } = this.parts;
    try {
      const connection: Connection = {
        ...{ process, fleet: fleet(), isOpen: true, upMs: 0, downMs: 0 },
        link: { send: (response) => this.#down(connection, response), close: () => this.break(connection) },
      };
      this.#connection = connection;
      const trees = [...this.trees.values()];
      const register = { node, facts: this.#facts(), version: 'test', trees, instance: node };
      connection.fleet.connect(register, connection.link);
    } catch (thrown) {
      if (!(thrown instanceof NotLeaderError)) throw thrown;
      world.after(1, () => this.#again());
    }
  }

  /** The connection is gone, for both ends. */
  break(connection = this.#connection): void {
    if (connection === null || !connection.isOpen) return;
    connection.isOpen = false;
    const { world, node } = this.parts;
    const { process, fleet, link } = connection;
    world.after(1 + world.below(20), () => process.enter(() => fleet.disconnect(node, link, 'it broke')));
    if (this.#connection === connection) world.after(1 + world.below(20), () => this.#again());
  }

  #down(connection: Connection, response: SessionResponse): void {
    const { world, breaksOneIn } = this.parts;
    if (connection.process.isDead || !connection.isOpen) return;
    if (breaksOneIn() > 0 && world.below(breaksOneIn()) === 0) {
      this.break(connection);
      return;
    }
    connection.downMs = Math.max(connection.downMs, world.nowMs + 1 + world.below(15));
    world.after(connection.downMs - world.nowMs, () => {
      if (connection.isOpen && this.#connection === connection) this.#receive(connection, response);
    });
  }

  #up(connection: Connection, message: NonNullable<SessionRequest['message']>): void {
    const { world, node, breaksOneIn } = this.parts;
    if (!connection.isOpen || this.#connection !== connection) return;
    if (breaksOneIn() > 0 && world.below(breaksOneIn()) === 0) {
      this.break(connection);
      return;
    }
    connection.upMs = Math.max(connection.upMs, world.nowMs + 1 + world.below(15));
    world.after(connection.upMs - world.nowMs, () => {
      if (!connection.isOpen) return;
      connection.process.enter(() => connection.fleet.receive(node, connection.link, { message }));
    });
  }

  #receive(connection: Connection, { message }: SessionResponse): void {
    const { world, leaseMs } = this.parts;
    switch (message?.$case) {
      case 'welcome': {
        const { heartbeatMs } = message.value;
        const instance = this.parts.instanceOf(message.value.instance);
        if (this.#coordinator !== '' && this.#coordinator !== instance) this.#giveUp();
        this.#coordinator = instance;
        if (this.#leader !== connection.fleet && this.#hold !== null)
          this.parts.onViolation(`${this.parts.node} still holds what another leader has asked for (F1)`);
        this.#leader = connection.fleet;
        const sent = new Map<number, number>();
        this.#sent = sent;
        let sequence = 0;
        const beat = () => {
          if (!connection.isOpen || this.#connection !== connection) return;
          const [oldestMs = Number.POSITIVE_INFINITY] = sent.values();
          if (world.nowMs - oldestMs > leaseMs / 2) {
            this.break(connection);
            return;
          }
          sent.set(++sequence, world.nowMs);
          this.#up(connection, { $case: 'heartbeat', value: { sequence, filling: [] } });
          world.after(heartbeatMs, beat);
        };
        beat();
        return;
      }
      case 'heartbeatAck': {
        const sentMs = this.#sent.get(message.value.sequence);
        if (sentMs === undefined) return;
        for (const older of [...this.#sent.keys()])
          if (older <= message.value.sequence) this.#sent.delete(older);
        this.#leaseEndMs = Math.max(this.#leaseEndMs, sentMs + leaseMs);
        return;
      }
      case 'command':
        void this.#command(message.value);
    }
  }
  #sent = new Map<number, number>();

  async #command(command: Command): Promise<void> {
    const known = this.#results.get(command.id);
    const result = known ?? this.#execute(command);
    this.#results.set(command.id, result);
    const value = await result;
    const connection = this.#connection;
    if (connection !== null) this.#up(connection, { $case: 'result', value });
  }

  async #execute(command: Command): Promise<CommandResult> {
    const { id } = command;
    try {
      await this.#takes(1 + this.parts.world.below(30));
      this.#admit(command);
      return { id, error: undefined, body: await this.#perform(command) };
    } catch (thrown) {
      return { id, error: toErrorDetail(thrown), body: undefined };
    }
  }

  #takes(ms: number): Promise<void> {
    return new Promise((resolve) => this.parts.world.after(ms, resolve));
  }

  /** E1 */
  #admit({ job, epoch }: Command): void {
    if (epoch < (this.#epochs.get(job) ?? 0))
      throw new HoldfastError('STALE_EPOCH', 'a newer epoch was seen');
    this.#epochs.set(job, epoch);
  }

  /** F1 */
  #giveUp(): void {
    this.#thaw();
    this.#attempt = null;
  }

  #freeze(attempt: string): void {
    const { world } = this.parts;
    this.#hold = { sinceMs: world.nowMs, attempt };
    const watch = () => {
      if (this.#hold?.attempt !== attempt) return;
      if (world.nowMs >= this.#leaseEndMs) return this.#giveUp();
      world.after(Math.max(1, this.#leaseEndMs - world.nowMs), watch);
    };
    watch();
  }

  #thaw(): void {
    const { world, leaseMs, onViolation, node } = this.parts;
    if (this.#hold === null) return;
    const heldMs = world.nowMs - this.#hold.sinceMs;
    if (heldMs > LONGEST_HOLD_LEASES * leaseMs) onViolation(`${node} was held for ${heldMs} ms`);
    this.#hold = null;
  }

  #attemptOf({ generation, epoch }: Command) {
    if (this.#attempt?.id === `${generation}-${epoch}`) return this.#attempt;
    throw new HoldfastError('HOLD_LOST', 'nothing of it is in flight here');
  }

  async #perform(command: Command): Promise<Body> {
    const { job, body, generation, epoch } = command;
    const { store, node, captured, nodesOf, onViolation } = this.parts;
    const id = `${generation}-${epoch}`;
    switch (body?.$case) {
      case 'prepare':
        this.#giveUp();
        this.#attempt = { id, keyPrefix: body.value.keyPrefix, part: null };
        return { $case: 'prepared', value: { blockers: [], advice: [] } };
      case 'capture': {
        const attempt = this.#attemptOf(command);
        if (this.#leaseEndMs <= this.parts.world.nowMs) throw new HoldfastError('HOLD_LOST', 'no lease');
        this.#freeze(id);
        await this.#takes(1 + this.parts.world.below(40));
        if (this.#hold?.attempt !== id) throw new HoldfastError('HOLD_LOST', 'it was thawed');
        attempt.part = await this.#store(job, attempt.keyPrefix, store);
        if (this.#hold?.attempt !== id) throw new HoldfastError('HOLD_LOST', 'it was thawed');
        captured.set(id, (captured.get(id) ?? new Set()).add(node));
        return { $case: 'captured', value: { capturedBytes: 1 } };
      }
      case 'release': {
        this.#attemptOf(command);
        if (this.#hold?.attempt !== id) throw new HoldfastError('HOLD_LOST', 'it was thawed');
        if (nodesOf(job).some((other) => !captured.get(id)?.has(other)))
          onViolation(`${node} was released before every node had captured (B1)`);
        this.#thaw();
        return { $case: 'released', value: { heldMs: 1 } };
      }
      case 'upload': {
        const { part } = this.#attemptOf(command);
        this.#attempt = null;
        if (part === null) throw new HoldfastError('HOLD_LOST', 'nothing was captured');
        return { $case: 'uploaded', value: { part, uploadedBytes: 5 } };
      }
      case 'abort':
        this.#giveUp();
        return DONE;
      case 'kill': {
        const { belowIncarnation } = body.value;
        if (belowIncarnation === 0) this.#giveUp();
        for (const tree of this.#of(job))
          if (belowIncarnation === 0 || tree.incarnation < belowIncarnation) this.#end(tree);
        return DONE;
      }
      case 'stage':
        this.#giveUp();
        for (const { treeId } of body.value.part?.trees ?? []) this.host(job, treeId, body.value.incarnation);
        return DONE;
      case 'restore':
        return DONE;
      case 'resume':
        return { $case: 'resumed', value: { trees: this.#of(job) } };
      default:
        throw new HoldfastError('INTERNAL', `no ${body?.$case} here`);
    }
  }

  #of(job: string): HostedTree[] {
    return [...this.trees.values()].filter((tree) => tree.job === job);
  }

  #end(tree: HostedTree): void {
    this.trees.delete(`${tree.job}/${tree.treeId}/${tree.incarnation}`);
  }

  host(job: string, treeId: string, incarnation: number): void {
    const rootPid = ++this.#pid;
    this.trees.set(`${job}/${treeId}/${incarnation}`, { job, treeId, incarnation, rootPid });
  }

  async #store(job: string, keyPrefix: string, store: ObjectStore): Promise<NodePart> {
    const { node } = this.parts;
    const treeIds = [...new Set(this.#of(job).map(({ treeId }) => treeId))];
    const trees = [];
    for (const treeId of treeIds) {
      const key = `${keyPrefix}/${node}/${treeId}/pack-00001`;
      await store.put(key, Buffer.from('pages'));
      trees.push({
        ...{ treeId, main: treeId === 'main', rootPid: 1, memory: { capturedBytes: 1 } },
        tasks: [{ pid: 1, parentPid: 0, threadCount: 1, comm: 'fake' }],
        packs: [{ key, sizeBytes: 5, sha256: 'ab'.repeat(32) }],
      });
    }
    return NodePart.fromPartial({ node, facts: this.#facts(), trees });
  }

  #facts(): NodeFacts {
    return NodeFacts.fromPartial({
      ...{ hostname: this.parts.node, kernelRelease: '6.18.0', criuVersion: '4.2.1', architecture: 'x86_64' },
      ...{ cpuFlags: [], addresses: [this.parts.ip], memoryBytes: 1 << 30 },
    });
  }
}
