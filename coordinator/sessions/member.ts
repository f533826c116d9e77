/** One node as the coordinator knows it: its stream, and the commands it owes an answer to. */

import type { HoldfastError } from '../../core/errors';
import type {
  Command,
  CommandResult,
  HostedTree,
  Register,
  SessionResponse,
  TreeFilling,
} from '../../proto/gen/holdfast/v1/agent';
import type { Node } from '../../proto/gen/holdfast/v1/coordinator';

/** The coordinator's end of a node's stream. */
export interface Link {
  send(response: SessionResponse): void;
  close(reason: HoldfastError): void;
}

export interface Pending {
  readonly command: Command;
  /** Whether any connection has carried it. */
  isSent: boolean;
  readonly settle: (outcome: CommandResult | HoldfastError) => void;
}

/**
 * expected: known from before the coordinator's start, not seen since. away: its stream ended, its lease has not.
 * lost: its lease ended; whatever it held frozen, it has thawed (F1).
 */
export const MEMBER_STATES = ['expected', 'connected', 'away', 'lost'] as const;
export type MemberState = (typeof MEMBER_STATES)[number];

export type TreeKey = Pick<HostedTree, 'job' | 'treeId' | 'incarnation'>;

function isSameTree(a: TreeKey, b: TreeKey): boolean {
  return a.job === b.job && a.treeId === b.treeId && a.incarnation === b.incarnation;
}

export class Member {
  state: MemberState = 'expected';
  link: Link | null = null;
  instance = '';
  /** What it said it hosts when it last registered, without what has ended since. */
  hosted: readonly HostedTree[] = [];
  /** It was lost, or is another process: what it hosts from before is what its Register says. */
  mustConfirm = false;
  /** As of its last heartbeat. */
  filling: readonly TreeFilling[] = [];
  readonly pending = new Map<string, Pending>();

  constructor(public node: Node) {}

  get isAlive(): boolean {
    return this.state === 'connected' || this.state === 'away';
  }

  /** Takes over a new stream. The result says whether it is the agent process we knew. */
  connect(register: Register, link: Link, nowMs: number): boolean {
    const isSameAgent = this.instance === register.instance && this.isAlive;
    if (!isSameAgent && this.instance !== '') this.mustConfirm = true;
    this.instance = register.instance;
    this.hosted = register.trees;
    this.link = link;
    this.state = 'connected';
    this.node = {
      name: register.node,
      facts: register.facts,
      version: register.version,
      alive: true,
      lastSeenMs: nowMs,
      drain: undefined,
    };
    return isSameAgent;
  }

  /** A tree that ended is in Register until its end is acknowledged, but it is not there. */
  drop(ended: TreeKey): void {
    this.hosted = this.hosted.filter((tree) => !isSameTree(tree, ended));
  }

  /** Whether it still has a tree it was given. */
  hosts(tree: TreeKey): boolean {
    return this.isAlive && (!this.mustConfirm || this.hosted.some((other) => isSameTree(other, tree)));
  }

  post(pending: Pending): void {
    this.pending.set(pending.command.id, pending);
    this.#send(pending);
  }

  /** Commands the old stream may have lost: an agent that knows the id does not execute it twice. */
  sendAgain(): void {
    for (const pending of this.pending.values()) this.#send(pending);
  }

  #send(pending: Pending): void {
    if (this.link === null) return;
    pending.isSent = true;
    this.link.send({ message: { $case: 'command', value: pending.command } });
  }

  settle(id: string, outcome: CommandResult | HoldfastError): boolean {
    const pending = this.pending.get(id);
    this.pending.delete(id);
    pending?.settle(outcome);
    return pending !== undefined;
  }

  /** Fails what the node can no longer answer. */
  fail(error: HoldfastError, which: (pending: Pending) => boolean = () => true): void {
    for (const [id, pending] of [...this.pending]) if (which(pending)) this.settle(id, error);
  }
}
