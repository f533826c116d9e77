/** How much more memory processes may use: what their control groups (v2 or v1) and the node have left. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

export interface Headroom {
  readonly bytes: number;
  /** What limits it, for people. */
  readonly of: string;
}

function number(path: string): number | null {
  try {
    const value = Number(readFileSync(path, 'utf8').trim());
    return Number.isFinite(value) ? value : null; // "max"
  } catch {
    return null;
  }
}

interface Group {
  readonly path: string;
  readonly limit: string;
  readonly usage: string;
  /** In memory.stat: files' pages that the kernel drops before it refuses memory. */
  readonly cache: RegExp;
}

/** The groups that may limit the process, outermost first. */
function groups(cgroup: string): Group[] {
  return cgroup.split('\n').flatMap((line) => {
    const [, controllers = '', path = ''] = /^\d+:([^:]*):(\/.*)$/.exec(line) ?? [];
    const isV1 = controllers.split(',').includes('memory');
    if (controllers !== '' && !isV1) return [];
    const root = isV1 ? '/sys/fs/cgroup/memory' : '/sys/fs/cgroup';
    const names = isV1
      ? {
          limit: 'memory.limit_in_bytes',
          usage: 'memory.usage_in_bytes',
          cache: /^total_inactive_file (\d+)$/m,
        }
      : { limit: 'memory.max', usage: 'memory.current', cache: /^inactive_file (\d+)$/m };
    const parts = path.split('/').filter(Boolean);
    return parts.map((_, depth) => ({ path: join(root, ...parts.slice(0, depth + 1)), ...names }));
  });
}

function cached({ path, cache }: Group): number {
  try {
    return Number(cache.exec(readFileSync(join(path, 'memory.stat'), 'utf8'))?.[1] ?? 0);
  } catch {
    return 0;
  }
}

function available(meminfo: string): number {
  return Number(/^MemAvailable:\s+(\d+) kB/m.exec(meminfo)?.[1] ?? 0) * 1024;
}

function groupsOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cgroup`, 'utf8');
  } catch {
    return ''; // it has ended
  }
}

/** The least that any of the processes may use. */
export function memoryHeadroom(pids: readonly number[]): Headroom {
  let least: Headroom = { bytes: available(readFileSync('/proc/meminfo', 'utf8')), of: "the node's memory" };
  for (const group of [...new Set(pids.map(groupsOf))].flatMap(groups)) {
    const [most, used] = [number(join(group.path, group.limit)), number(join(group.path, group.usage))];
    if (most === null || used === null) continue;
    const bytes = most - used + cached(group);
    if (bytes < least.bytes) least = { bytes, of: `the control group ${group.path}` };
  }
  return least;
}
