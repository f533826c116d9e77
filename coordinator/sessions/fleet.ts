/** All nodes: who is alive, and the one way to send a command to any of them. */

import { randomUUID } from 'node:crypto';
import { HoldfastError } from '../../core/errors';
import { newCommandId } from '../../core/ids';
import type { Logger } from '../../core/log';
import type {
  Command,
  Progress,
  Register,
  SessionRequest,
  TreeEnded,
} from '../../proto/gen/holdfast/v1/agent';
import type { MemoryFilling, Node } from '../../proto/gen/holdfast/v1/coordinator';
import type { Clock } from '../clock';
import { Signal } from '../signal';
import {
  type BodyOf,
  type CommandCase,
  type CommandScope,
  type Outcome,
  type ResultOf,
  resultOf,
} from './commands';
import { Leases, type LeaseTimes, returnMs } from './leases';
import { type Link, Member, type MemberState, type TreeKey } from './member';

/** A command that is about to be sent. Observers may put their trace on it. */
export interface Commanding {
  readonly node: string;
  readonly command: Command;
  /** Never rejects. */
  readonly outcome: Promise<Outcome>;
}

export class Fleet {
  readonly registered = new Signal<Register>();
  /** A heartbeat arrived: the node's name. */
  readonly renewed = new Signal<string>();
  readonly lost = new Signal<string>();
  readonly treeEnded = new Signal<{ node: string; ended: TreeEnded }>();
  readonly progress = new Signal<{ node: string; scope: CommandScope; progress: Progress }>();
  readonly changed = new Signal<Node>();
  readonly commanding = new Signal<Commanding>();

  readonly #instance = randomUUID();
  readonly #members = new Map<string, Member>();
  readonly #leases: Leases;
  #isBlackout = false;

  constructor(
    private readonly clock: Clock,
    private readonly times: LeaseTimes,
    private readonly log: Logger,
  ) {
    this.#leases = new Leases(clock, times, (node) => this.#expire(node));
  }

  close(): void {
    this.#leases.close();
    const reason = new HoldfastError('COORDINATOR_UNAVAILABLE', 'the coordinator is stopping');
    for (const member of this.#members.values()) {
      member.link?.close(reason);
      member.link = null;
      // No command can be sent any more, and none must wait for an answer.
      member.state = 'lost';
      member.fail(reason);
    }
  }

  nodes(): Node[] {
    return [...this.#members.values()]
      .map((member) => member.node)
      .sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  node(name: string): Node | undefined {
    return this.#members.get(name)?.node;
  }

  /** One for each node. */
  states(): MemberState[] {
    return [...this.#members.values()].map(({ state }) => state);
  }

  get aliveCount(): number {
    let count = 0;
    for (const { isAlive } of this.#members.values()) if (isAlive) count++;
    return count;
  }

  isAlive(name: string): boolean {
    return this.#members.get(name)?.isAlive ?? false;
  }

  /** Some nodes of before the start have neither come back nor lost their lease. */
  get isSettling(): boolean {
    return [...this.#members.values()].some(({ state }) => state === 'expected');
  }

  /**
   * Whether the node still has a tree it was given. One that was lost must have said so since: it may have been cut off
   * only, or have started anew.
   */
  stillHosts(name: string, tree: TreeKey): boolean {
    return this.#members.get(name)?.hosts(tree) ?? false;
  }

  /** Trees of an incarnation of a job whose memory is being filled on nodes that are there. */
  fillingOf(job: string, incarnation: number): MemoryFilling[] {
    return [...this.#members.values()]
      .filter(({ isAlive }) => isAlive)
      .flatMap(({ node, filling }) =>
        filling
          .filter((tree) => tree.job === job && tree.incarnation === incarnation)
          .map((tree) => ({ ...tree, node: node.name })),
      );
  }

  /** Nodes of before a start of the coordinator get longer than a lease to come back. */
  expect(nodes: readonly Node[]): void {
    for (const node of nodes) {
      if (this.#members.has(node.name)) continue;
      const member = new Member({ ...node, alive: false });
      member.mustConfirm = true;
      this.#members.set(node.name, member);
      this.#leases.renew(node.name, returnMs(this.times.leaseMs));
    }
  }

  connect(register: Register, link: Link): void {
    const name = register.node;
    const member =
      this.#members.get(name) ??
      new Member({
        name,
        facts: undefined,
        alive: false,
        lastSeenMs: 0,
        version: register.version,
        drain: undefined,
      });
    this.#members.set(name, member);
    this.#endBlackout();
    const old = member.link;
    const isSameAgent = member.connect(register, link, this.clock.wallMs());
    old?.close(new HoldfastError('ABORTED', `node ${name} opened another session`));
    if (!isSameAgent) {
      const cause = `the agent on node ${name} restarted before it answered`;
      member.fail(new HoldfastError('NODE_LOST', cause), (pending) => pending.isSent);
    }
    this.#leases.renew(name);
    this.log.info({ node: name, isSameAgent, trees: register.trees.length }, 'node registered');
    link.send({
      message: {
        $case: 'welcome',
        value: { ...this.times, instance: this.#instance },
      },
    });
    member.sendAgain();
    this.changed.emit(member.node);
    this.registered.emit(register);
  }

  /** A message after Register; those of a stream that was replaced count for nothing. */
  receive(name: string, link: Link, request: SessionRequest): void {
    const member = this.#members.get(name);
    const { message } = request;
    if (member?.link !== link || message === undefined) return;
    switch (message.$case) {
      case 'heartbeat':
        link.send({ message: { $case: 'heartbeatAck', value: { sequence: message.value.sequence } } });
        member.filling = message.value.filling;
        member.node = { ...member.node, lastSeenMs: this.clock.wallMs() };
        this.#leases.renew(name);
        this.renewed.emit(name);
        return;
      case 'result':
        if (!member.settle(message.value.id, message.value)) {
          this.log.debug({ node: name, command: message.value.id }, 'a result nobody waits for');
        }
        return;
      case 'progress': {
        const command = member.pending.get(message.value.commandId)?.command;
        if (command !== undefined)
          this.progress.emit({ node: name, scope: command, progress: message.value });
        return;
      }
      case 'treeEnded':
        member.drop(message.value);
        this.treeEnded.emit({ node: name, ended: message.value });
        return;
      case 'register':
        link.close(new HoldfastError('INVALID_ARGUMENT', `node ${name} registered twice in one session`));
    }
  }

  disconnect(name: string, link: Link, reason: string): void {
    const member = this.#members.get(name);
    if (member?.link !== link) return;
    member.link = null;
    member.state = 'away';
    this.log.warn({ node: name, reason }, 'session ended, the lease runs on');
  }

  /** Tells the node that the end of a tree is durable here. */
  acknowledgeEnd(name: string, { job, treeId, incarnation }: TreeEnded): void {
    this.#members
      .get(name)
      ?.link?.send({ message: { $case: 'treeEndedAck', value: { job, treeId, incarnation } } });
  }

  /**
   * Sends a command and waits for its result; a node that is away gets it when it returns within its lease.
   * @param timeoutMs Infinity: as long as the node lives
   * @throws HoldfastError NODE_UNAVAILABLE (not connected), NODE_LOST (lease or agent lost while waiting), TIMEOUT, or
   *   the agent's own error with the node's name in front
   */
  async command<C extends CommandCase>(
    name: string,
    body: BodyOf<C>,
    scope: CommandScope,
    options: { timeoutMs: number },
  ): Promise<ResultOf<C>> {
    const member = this.#members.get(name);
    if (member === undefined || member.state === 'lost') {
      throw new HoldfastError('NODE_UNAVAILABLE', `node ${name} is not connected`, 'start its agent');
    }
    const { job, generation, epoch } = scope;
    const command: Command = { id: newCommandId(), job, generation, epoch, body, traceParent: '' };
    let answer: (outcome: Outcome) => void = () => {};
    const answered = new Promise<Outcome>((resolve) => {
      answer = resolve;
    });
    this.commanding.emit({ node: name, command, outcome: answered });
    const cancel = Number.isFinite(options.timeoutMs)
      ? this.clock.after(options.timeoutMs, () => {
          const text = `node ${name} did not answer ${body.$case} within ${options.timeoutMs / 1000} s`;
          member.settle(command.id, new HoldfastError('TIMEOUT', text));
        })
      : () => {};
    const settle = (outcome: Outcome) => {
      cancel();
      answer(outcome);
    };
    member.post({ command, isSent: false, settle });
    const outcome = await answered;
    if (outcome instanceof HoldfastError) throw outcome;
    return resultOf<C>(name, body.$case, outcome);
  }

  /** Whether the node renews its lease from now on (a heartbeat that arrives later), or is lost. */
  awaitRenewal(name: string): Promise<'renewed' | 'lost'> {
    const member = this.#members.get(name);
    if (member === undefined || member.state === 'lost') return Promise.resolve('lost');
    return new Promise((resolve) => {
      const subscriptions = [
        this.renewed.subscribe((node) => node === name && end('renewed')),
        this.lost.subscribe((node) => node === name && end('lost')),
      ];
      const end = (outcome: 'renewed' | 'lost') => {
        for (const unsubscribe of subscriptions) unsubscribe();
        resolve(outcome);
      };
    });
  }

  /**
   * All nodes were lost, and one is back: it was the coordinator that was cut off. The others get their time to
   * return, as after a start, before jobs are restarted elsewhere.
   */
  #endBlackout(): void {
    if (!this.#isBlackout) return;
    this.#isBlackout = false;
    for (const [name, member] of this.#members) {
      if (member.state !== 'lost') continue;
      member.state = 'expected';
      this.#leases.renew(name, returnMs(this.times.leaseMs));
    }
  }

  #expire(name: string): void {
    const member = this.#members.get(name);
    if (member === undefined) return;
    const { link } = member;
    member.link = null;
    member.state = 'lost';
    member.mustConfirm = true;
    member.node = { ...member.node, alive: false };
    this.#isBlackout ||= ![...this.#members.values()].some(({ isAlive }) => isAlive);
    const reason = new HoldfastError(
      'NODE_LOST',
      `node ${name} was lost: its lease ended`,
      'look at its agent',
    );
    this.log.warn({ node: name }, 'node lost');
    // An agent that is still there must register again: it has thawed what it held, and we have moved on.
    link?.close(reason);
    member.fail(reason);
    this.changed.emit(member.node);
    this.lost.emit(name);
  }
}
