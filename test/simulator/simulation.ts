/** Many agents in one process. */
import { ChannelCredentials } from '@grpc/grpc-js';
import { nodeFacts } from '../../agent/facts';
import { openLog } from '../../core/log';
import { channelOptions } from '../../core/rpc/channel';
import { addressOptions, clientCredentials } from '../../core/tls/credentials';
import { seededRandom } from '../contract/random';
import { SimulatedAgent } from './agent';
import { Barriers, type SimulationEvent } from './barriers';
import { addressOf, nodeName } from './names';

export interface SimulationOptions {
  /** HOST:PORT. */
  readonly coordinator: string;
  readonly agents: number;
  /** ca.crt, and NAME.crt and NAME.key of every node; null: plain text, which a coordinator takes on loopback only. */
  readonly tlsDirectory: string | null;
  readonly paceMs: number;
  readonly seed: number;
}

/** A handshake takes both ends' time: in larger groups the last ones would find their time to register over. */
const OPENING = 50;
const CRIU_VERSION = '4.2.1';

export class Simulation {
  private constructor(private readonly agents: readonly SimulatedAgent[]) {}

  /** Resolves when the coordinator has welcomed all of them. */
  static async start(
    options: SimulationOptions,
    emit: (event: SimulationEvent) => void,
  ): Promise<Simulation> {
    const { coordinator, tlsDirectory, paceMs } = options;
    const host = coordinator.slice(0, coordinator.lastIndexOf(':')).replace(/^\[|\]$/g, '');
    const shared = {
      ...{ coordinator, paceMs, emit },
      channel: { ...channelOptions(), ...addressOptions(host) },
      random: seededRandom(options.seed),
      barriers: new Barriers(emit),
      // A coordinator that is away would be told by all of them, again and again.
      log: openLog('simulator', process.env.HOLDFAST_LOG ?? 'error'),
    };
    const machine = nodeFacts([], CRIU_VERSION);
    const agents = await Promise.all(
      Array.from({ length: options.agents }, async (_, index) => {
        const name = nodeName(index);
        const credentials =
          tlsDirectory === null
            ? ChannelCredentials.createInsecure()
            : await clientCredentials(tlsDirectory, name, host);
        const facts = { ...machine, hostname: name, addresses: [addressOf(index)] };
        return new SimulatedAgent({ ...shared, name, credentials, facts });
      }),
    );
    const closed = agents.values();
    const opener = async () => {
      for (const agent of closed) await agent.open();
    };
    await Promise.all(Array.from({ length: OPENING }, opener));
    return new Simulation(agents);
  }

  close(): void {
    for (const agent of this.agents) agent.close();
  }
}
