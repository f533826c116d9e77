/**
 * Invariant L1 in the middle of a job's life: what a failed operation left on a node, besides the trees that are to be
 * there. The job may run on, so this looks for everything that only an operation makes.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Stack } from '../harness/stack';
import type { SimNode } from '../nodes/node';
import { until } from './survival';

/** JOB.TREE.INCARNATION of every tree that may be on each node. */
export type ExpectedCells = ReadonlyMap<string, readonly string[]>;

const LOCAL_ROOTS = ['/tmp', '/dev/shm'];
const OPERATION_PROGRAMS = /(^|\/)(criu|holdfast-hold)$/;

/** Mounts and node-local files of all nodes, to compare with later. */
export class Residue {
  private readonly mounts: ReadonlyMap<string, string>;
  private localFiles: ReadonlyMap<string, ReadonlySet<string>> = new Map();

  constructor(
    private readonly stack: Stack,
    private readonly nodes: readonly string[],
  ) {
    this.mounts = new Map(nodes.map((name) => [name, mountsOf(stack.node(name))]));
    this.before();
  }

  /** Call before an operation: files that are there now are not its. */
  before(): void {
    this.localFiles = new Map(this.nodes.map((name) => [name, localFilesOf(this.stack.node(name))]));
  }

  /** Resolves when no node has anything of an operation any more. */
  async none(expected: ExpectedCells, timeoutMs = 20_000): Promise<void> {
    let found: string[] = [];
    const look = async () => {
      found = (await Promise.all(this.nodes.map((name) => this.on(name, expected.get(name) ?? [])))).flat();
      return found.length === 0 ? true : null;
    };
    await until('nodes without remains of an operation', look, timeoutMs).catch((error: Error) => {
      throw new Error(`${error.message}\nleft: ${found.join('\n      ')}`);
    });
  }

  private async on(name: string, cells: readonly string[]): Promise<string[]> {
    const node = this.stack.node(name);
    if (!node.alive) return [];
    const known = this.localFiles.get(name);
    const found = [
      ...processesOf(node),
      ...namesIn(node, 'ops').map((file) => `operation ${file}`),
      ...difference('cell', namesIn(node, 'cells'), cells),
      ...(mountsOf(node) === this.mounts.get(name) ? [] : ['other mounts than at the start']),
      ...[...localFilesOf(node)].filter((path) => !known?.has(path)).map((path) => `file ${path}`),
      ...namesIn(node, 'nat')
        .filter((name) => !cells.some((cell) => isTranslatedBy(cell, name)))
        .map((name) => `translation ${name}`),
      ...(await this.tables(node)),
    ];
    return found.map((what) => `${name}: ${what}`);
  }

  private async tables(node: SimNode): Promise<string[]> {
    const { stdout } = await node.run(['nft', 'list', 'tables']);
    const names = stdout.split('\n').flatMap((line) => /^table \S+ (\S+)/.exec(line)?.[1] ?? []);
    return names.filter((name) => /^(holdfast-|CRIU-)/.test(name)).map((name) => `table ${name}`);
  }
}

/** A translation (JOB.N) belongs to the trees (JOB.TREE.N) of an incarnation that moved. */
function isTranslatedBy(cell: string, translation: string): boolean {
  const [job, , incarnation] = cell.split('.');
  return translation === `${job}.${incarnation}`;
}

function mountsOf(node: SimNode): string {
  return node.alive ? readFileSync(`/proc/${node.initPid}/mounts`, 'utf8') : '';
}

function namesIn(node: SimNode, part: string): string[] {
  const directory = node.path(join('/run/holdfast', part));
  return existsSync(directory) ? readdirSync(directory) : [];
}

function localFilesOf(node: SimNode): Set<string> {
  if (!node.alive) return new Set();
  const list = (root: string) =>
    readdirSync(node.path(root), { recursive: true, encoding: 'utf8' }).map((path) => join(root, path));
  return new Set(LOCAL_ROOTS.flatMap(list));
}

function processesOf(node: SimNode): string[] {
  return node.processes().flatMap(({ pid, state, argv }) => {
    const isOperation = argv.some((argument) => OPERATION_PROGRAMS.test(argument));
    const isStopped = state === 'T' || state === 't';
    return isOperation || isStopped ? [`process ${pid} (${state}) ${argv.join(' ')}`] : [];
  });
}

function difference(what: string, found: readonly string[], expected: readonly string[]): string[] {
  return [
    ...found.filter((name) => !expected.includes(name)).map((name) => `${what} ${name} too much`),
    ...expected.filter((name) => !found.includes(name)).map((name) => `${what} ${name} is missing`),
  ];
}
