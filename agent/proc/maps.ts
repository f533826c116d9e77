/** Memory maps of a process (proc_pid_maps(5)): only what files and preflight need; pages are the engine's. */
import { readProc } from './stat';

export interface MemoryMap {
  readonly pid: number;
  readonly start: string;
  readonly permissions: string;
  readonly inode: number;
  /** Empty for anonymous memory; "(deleted)" is cut off and told apart. */
  readonly path: string;
  readonly deleted: boolean;
}

const LINE = /^([0-9a-f]+)-[0-9a-f]+ (\S{4}) [0-9a-f]+ \S+ (\d+)\s*(.*)$/;
const DELETED = ' (deleted)';

export function memoryMaps(pid: number): MemoryMap[] {
  const maps: MemoryMap[] = [];
  for (const line of (readProc(`/proc/${pid}/maps`) ?? '').split('\n')) {
    const match = LINE.exec(line);
    if (!match) continue;
    const [, start = '', permissions = '', inode = '0', name = ''] = match;
    const deleted = name.endsWith(DELETED);
    maps.push({
      pid,
      start,
      permissions,
      inode: Number(inode),
      path: deleted ? name.slice(0, -DELETED.length) : name,
      deleted,
    });
  }
  return maps;
}
