/**
 * Which node-local files travel: what the tree has open or mapped, and the whole session directories around
 * them, because libraries look up siblings later (MPI session directories, pmix stores). A directory counts as a session
 * directory when it lies below a local root, belongs to the job's user, and the tree names it: by an open or mapped file in
 * it, or in a process environment.
 */
import type { Stats } from 'node:fs';
import { lstat, opendir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Descriptor } from '../proc/descriptors';
import { type MemoryMap, memoryMaps } from '../proc/maps';
import { readLink, readProc } from '../proc/stat';
import { localRootOf } from './localRoots';

/** A session directory with more in it is somebody's data: only the files in use travel. */
const SESSION_LIMITS: TreeLimits = { bytes: 256 << 20, entries: 10_000 };

/** Absolute paths named by the environment of the process. */
function environmentPaths(pid: number): string[] {
  const values = (readProc(`/proc/${pid}/environ`) ?? '')
    .split('\0')
    .map((entry) => entry.slice(entry.indexOf('=') + 1));
  return values.filter((value) => /^\/[^:;,\s]+$/.test(value));
}

/** An entry that may travel: owned by the user, and something tar can put back. Null for any other. */
async function travelling(path: string, uid: number): Promise<Stats | null> {
  const stat = await lstat(path).catch(() => null); // removed meanwhile
  if (stat === null || stat.uid !== uid) return null;
  const isKept = stat.isFile() || stat.isFIFO() || stat.isDirectory() || stat.isSymbolicLink();
  return isKept ? stat : null; // sockets are bound again by CRIU
}

/** Of what is removed at that moment: another job's session directory may be beside this one's. */
function unlessGone(error: NodeJS.ErrnoException): null {
  if (error.code === 'ENOENT') return null;
  throw error;
}

export interface TreeLimits {
  readonly bytes: number;
  readonly entries: number;
}

/** Every path below the directory with it, or null when there is more than the limits allow. */
export async function directoryTree(
  directory: string,
  uid: number,
  limits: TreeLimits,
): Promise<string[] | null> {
  const found: string[] = [];
  const open = [directory];
  let bytes = 0;
  for (let path = open.pop(); path !== undefined; path = open.pop()) {
    const stat = await travelling(path, uid);
    if (stat === null) continue;
    found.push(path);
    bytes += stat.isFile() ? stat.blocks * 512 : 0;
    if (bytes > limits.bytes || found.length > limits.entries) return null;
    if (!stat.isDirectory()) continue;
    for await (const entry of (await opendir(path).catch(unlessGone)) ?? []) {
      open.push(join(path, entry.name));
      if (open.length > limits.entries) return null;
    }
  }
  return found;
}

/** Directories between the local root and the path, so that they exist again with their owner and mode. */
function parents(path: string, root: string): string[] {
  const above: string[] = [];
  for (let directory = dirname(path); directory.length > root.length; directory = dirname(directory))
    above.unshift(directory);
  return above;
}

export interface FileUses {
  readonly descriptors: readonly Descriptor[];
  readonly maps: readonly MemoryMap[];
  /** Absolute paths in the environments of the processes. */
  readonly environments: readonly string[];
  readonly cwds: readonly string[];
}

/** What processes use at this moment. @param open their descriptors */
export function fileUses(pids: readonly number[], open: readonly Descriptor[]): FileUses {
  return {
    descriptors: open,
    maps: pids.flatMap((pid) => memoryMaps(pid)),
    environments: pids.flatMap((pid) => environmentPaths(pid)),
    cwds: pids.flatMap((pid) => readLink(`/proc/${pid}/cwd`) ?? []),
  };
}

export class LocalFiles {
  /** Directories that stay: the walk that finds one may be long. */
  private readonly tooLarge = new Set<string>();

  /** @param uid of the job's user */
  constructor(
    private readonly uid: number,
    private readonly localRoots: readonly string[],
    private readonly limits = SESSION_LIMITS,
  ) {}

  /** While the tree runs: finds the directories that are too large, so that the hold does not walk them. */
  async survey(uses: FileUses): Promise<void> {
    for (const directory of this.sessions(uses)) await this.sessionTree(directory);
  }

  /** Absolute paths, parents before children. What others own is not the job's to bring back: it must be there. */
  async select(uses: FileUses): Promise<string[]> {
    const selected = new Set(this.inUse(uses));
    for (const directory of this.sessions(uses)) {
      for (const path of await this.sessionTree(directory)) selected.add(path);
    }
    for (const path of [...selected]) {
      for (const parent of parents(path, this.rootOf(path) ?? '/')) selected.add(parent);
    }
    const kept: string[] = [];
    for (const path of selected) if ((await travelling(path, this.uid)) !== null) kept.push(path);
    return kept.sort();
  }

  private rootOf(path: string): string | null {
    return localRootOf(path, this.localRoots);
  }

  private inUse({ descriptors, maps, cwds }: FileUses): Set<string> {
    const named = [
      ...descriptors.map((descriptor) => descriptor.target),
      ...maps.filter((map) => !map.deleted).map((map) => map.path),
      ...cwds,
    ];
    return new Set(named.filter((path) => this.rootOf(path) !== null && !path.endsWith(' (deleted)')));
  }

  private sessions(uses: FileUses): Set<string> {
    const around = [...this.inUse(uses)].map((path) => dirname(path));
    return new Set([...around, ...uses.environments].filter((path) => this.rootOf(path) !== null));
  }

  private async sessionTree(directory: string): Promise<string[]> {
    if (!(await travelling(directory, this.uid))?.isDirectory()) return [];
    if (this.tooLarge.has(directory)) return [directory];
    const tree = await directoryTree(directory, this.uid, this.limits);
    if (tree === null) this.tooLarge.add(directory);
    return tree ?? [directory];
  }
}
