/** Invariant L1 from outside: after its end, a job has left nothing on any node. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { groupRoot } from '../../agent/network/translation';
import type { Stack } from '../harness/stack';
import type { NodeProcess } from '../nodes/processes';
import { until } from './survival';

const RUN_DIRECTORIES = ['cells', 'ops', 'nat'];

const identity = ({ pid, argv }: NodeProcess): string => `${pid} ${argv.join(' ')}`;

/** Made while nothing runs but the installation itself; later it tells what is there besides. */
export class Leftovers {
  private readonly ownProcesses: ReadonlyMap<string, ReadonlySet<string>>;

  constructor(
    private readonly stack: Stack,
    private readonly nodes: readonly string[],
  ) {
    this.ownProcesses = new Map(
      nodes.map((name) => [name, new Set(stack.node(name).processes().map(identity))]),
    );
  }

  /** Resolves when nothing is left; agents may still be cleaning up when a job's end is known. */
  async none(): Promise<void> {
    let found: string[] = [];
    await until(
      'a clean node',
      async () => {
        found = (await Promise.all(this.nodes.map((name) => this.on(name)))).flat();
        return found.length === 0 ? true : null;
      },
      15_000,
    ).catch((error: Error) => {
      throw new Error(`${error.message}\nleft: ${found.join('\n      ')}\n${this.stack.logs()}`);
    });
  }

  private async on(name: string): Promise<string[]> {
    const node = this.stack.node(name);
    const known = this.ownProcesses.get(name);
    const processes = node
      .processes()
      .filter((one) => !known?.has(identity(one)))
      .map((one) => `process ${identity(one)} (${one.state})`);
    const files = RUN_DIRECTORIES.flatMap((part) => {
      const directory = join('/run/holdfast', part);
      return readdirSync(node.path(directory)).map((file) => join(directory, file));
    });
    return [...processes, ...files, ...this.groups(name), ...(await this.tables(name))].map(
      (what) => `${name}: ${what}`,
    );
  }

  private groups(name: string): string[] {
    const node = this.stack.node(name);
    const root = groupRoot(readFileSync(node.path('/proc/1/mountinfo'), 'utf8'));
    if (root === null) return [];
    return readdirSync(node.path(root)).filter((group) => group.startsWith('holdfast.'));
  }

  private async tables(name: string): Promise<string[]> {
    const { stdout } = await this.stack.node(name).run(['nft', 'list', 'tables']);
    return stdout.split('\n').filter((line) => /\b(holdfast-|CRIU-)/.test(line));
  }
}
