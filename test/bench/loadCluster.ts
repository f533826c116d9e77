/** A coordinator as a site runs it, with simulated agents: two processes, and the coordinator's Redis. */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Connection, connect } from '../../cli/client/connection';
import type { SimulationEvent } from '../simulator/barriers';
import { ProcessFigures } from './processFigures';
import { Program } from './program';

export class LoadCluster {
  /** Everything the agents have told so far. */
  readonly events: SimulationEvent[] = [];

  private constructor(
    private readonly directory: string,
    private readonly coordinator: Program,
    private simulator: Program | null,
    /** Typed calls, as root. */
    readonly connection: Connection,
  ) {}

  static async start(agents: number, paceMs: number): Promise<LoadCluster> {
    const directory = mkdtempSync(join(tmpdir(), 'holdfast-load-'));
    const store = join(directory, 'store');
    mkdirSync(store);
    const socket = join(directory, 'coordinator.sock');
    const coordinator = await Program.start(
      'cli/main.js',
      [
        ...['coordinator', '--listen', '127.0.0.1:0', '--insecure-loopback', '--socket', socket],
        ...['--state-dir', join(directory, 'state'), '--store', `file://${store}`, '--json'],
      ],
      join(directory, 'coordinator.log'),
    );
    const cluster = new LoadCluster(directory, coordinator, null, await connect({ socket }));
    try {
      cluster.simulator = await Program.start(
        'test/simulator/main.js',
        [
          ...['--coordinator', String(coordinator.ready.address), '--agents', String(agents)],
          ...['--pace', String(paceMs), '--json'],
        ],
        join(directory, 'simulator.log'),
        (told) => cluster.events.push(told as unknown as SimulationEvent),
        // It stands for a thousand processes: what one of them collects must not make the others wait.
        ['--max-semi-space-size=64'],
      );
      return cluster;
    } catch (error) {
      await cluster.stop();
      throw error;
    }
  }

  get figures(): ProcessFigures {
    return ProcessFigures.of(this.coordinator.pid);
  }

  /** Of the Redis that the coordinator runs. */
  get redisFigures(): ProcessFigures {
    const [redis] = this.figures.children();
    if (redis === undefined) throw new Error('the coordinator has no Redis');
    return redis;
  }

  /** May be called again. What is in flight is aborted, which takes the agents' answers. */
  async stop(): Promise<void> {
    this.connection.close();
    await this.coordinator.stop();
    await this.simulator?.stop();
    rmSync(this.directory, { recursive: true, force: true });
  }
}
