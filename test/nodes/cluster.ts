/**
 * A cluster of simulated machines on this one: each node has its own network, host name, processes, mounts and
 * System V IPC; /tmp, /run and /dev/shm are its own; all other files are shared, as home directories are.
 */
import { HoldfastError } from '../../core/errors';
import { PROJECT_ROOT } from '../../native/paths';
import { Fabric } from './fabric';
import { SimNode } from './node';

export interface SimClusterOptions {
  /** Host names, each once. */
  readonly names: readonly string[];
  /** Directories below /tmp, /run or /dev/shm that all nodes shall see at the same path. */
  readonly sharedPaths?: readonly string[];
}

/** Every cluster may use the same addresses: its network is connected to nothing else. */
const NETWORK = '10.77.0';
const MAX_NODES = 250;

export class SimCluster {
  private constructor(
    private readonly fabric: Fabric,
    readonly nodes: readonly SimNode[],
  ) {}

  /** Boots all nodes at once. Needs root. */
  static async create({ names, sharedPaths = [] }: SimClusterOptions): Promise<SimCluster> {
    checkNames(names);
    const address = (index: number): string => `${NETWORK}.${index + 1}`;
    const hosts = [
      '127.0.0.1 localhost',
      '::1 localhost',
      ...names.map((name, i) => `${address(i)} ${name}`),
    ];
    // The checkout itself may lie below /tmp; programs of it are to run in the nodes.
    const fabric = await Fabric.start(hosts.join('\n'), [...sharedPaths, PROJECT_ROOT]);
    const nodes = names.map((name, i) => new SimNode(name, address(i), `port${i + 1}`, fabric));
    try {
      await Promise.all(nodes.map((node) => node.boot()));
    } catch (error) {
      await fabric.destroy();
      throw error;
    }
    return new SimCluster(fabric, nodes);
  }

  /** Throws NOT_FOUND for a name the cluster was not created with. */
  node(name: string): SimNode {
    const found = this.nodes.find((node) => node.name === name);
    if (found === undefined) throw new HoldfastError('NOT_FOUND', `the cluster has no node ${name}`);
    return found;
  }

  /** Ends all nodes; nothing of them is left. Does nothing the second time. */
  async destroy(): Promise<void> {
    await this.fabric.destroy();
  }
}

function checkNames(names: readonly string[]): void {
  const wrong = names.find((name, i) => !/^[a-z][a-z0-9-]{0,62}$/.test(name) || names.indexOf(name) !== i);
  if (wrong !== undefined || names.length === 0 || names.length > MAX_NODES) {
    throw new HoldfastError(
      'INVALID_ARGUMENT',
      `node names are wrong: ${names.join(' ')}`,
      `give 1 to ${MAX_NODES} different names of lower-case letters, digits and '-'`,
    );
  }
}
