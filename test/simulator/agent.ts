/** One simulated agent: the real agent's session and lease, on a connection of its own, in front of a node without processes. */
import type { ChannelCredentials, ChannelOptions } from '@grpc/grpc-js';
import { Lease } from '../../agent/lease';
import { Connection } from '../../agent/session/connection';
import type { Logger } from '../../core/log';
import { VERSION } from '../../core/version';
import { AgentServiceClient } from '../../proto/gen/holdfast/v1/agent';
import type { NodeFacts } from '../../proto/gen/holdfast/v1/manifest';
import type { Random } from '../contract/random';
import type { Barriers, SimulationEvent } from './barriers';
import { SimulatedNode } from './node';

export interface AgentOptions {
  readonly coordinator: string;
  readonly credentials: ChannelCredentials;
  readonly channel: ChannelOptions;
  readonly name: string;
  readonly facts: NodeFacts;
  readonly paceMs: number;
  readonly random: Random;
  readonly barriers: Barriers;
  readonly emit: (event: SimulationEvent) => void;
  readonly log: Logger;
}

export class SimulatedAgent {
  readonly #connection: Connection;
  readonly #lease: Lease;
  #welcomed: () => void = () => {};

  constructor({ coordinator, credentials, channel, name, facts, emit, log, ...rest }: AgentOptions) {
    const node = new SimulatedNode({
      ...{ name, facts, ...rest },
      onEnd: (end) => this.#connection.reportEnd(end),
    });
    this.#lease = new Lease(() => {
      emit({ event: 'leaseLost', node: name });
      node.abortAll('the lease of this node ended');
    });
    // Else all agents of this process would share one connection.
    const own = { ...channel, 'grpc.use_local_subchannel_pool': 1 };
    this.#connection = new Connection({
      client: new AgentServiceClient(coordinator, credentials, own),
      lease: this.#lease,
      trees: node.trees,
      log: log.child({ node: name }),
      filling: () => [],
      register: () => ({ node: name, facts, version: VERSION }),
      execute: (command) => node.execute(command),
      onWelcome: (isOther) => {
        if (isOther) node.abortAll('the coordinator was started anew');
        this.#welcomed();
      },
    });
  }

  /** Resolves when the coordinator has welcomed it. */
  open(): Promise<void> {
    return new Promise((resolve) => {
      this.#welcomed = resolve;
      this.#connection.open();
    });
  }

  close(): void {
    this.#lease.close();
    this.#connection.close();
  }
}
