/** The coordinators of the cluster: one of them leads, and this finds out which. */
import type { AgentServiceClient } from '../../proto/gen/holdfast/v1/agent';
import type { CoordinatorServiceClient } from '../../proto/gen/holdfast/v1/coordinator';

export interface CoordinatorClients {
  /** HOST:PORT */
  readonly address: string;
  readonly agents: Pick<AgentServiceClient, 'session' | 'close'>;
  readonly users: CoordinatorServiceClient;
}

export class Coordinators {
  #at = 0;

  /** @param all at least one, in the order in which they are tried */
  constructor(private readonly all: readonly CoordinatorClients[]) {}

  get #now(): CoordinatorClients {
    const now = this.all[this.#at];
    if (now === undefined) throw new Error('there is no coordinator');
    return now;
  }

  /** HOST:PORT of the one that leads, as far as is known. */
  get address(): string {
    return this.#now.address;
  }

  get users(): CoordinatorServiceClient {
    return this.#now.users;
  }

  get hasOthers(): boolean {
    return this.all.length > 1;
  }

  session() {
    return this.#now.agents.session();
  }

  /**
   * The one that was tried does not lead, or does not answer.
   * @param leader HOST:PORT it has named; nobody is dialled who is not on the list
   */
  passOver(leader?: string): void {
    const named = this.all.findIndex(({ address }) => address === leader);
    this.#at = named >= 0 && named !== this.#at ? named : (this.#at + 1) % this.all.length;
  }

  close(): void {
    for (const { agents, users } of this.all) {
      agents.close();
      users.close();
    }
  }
}
