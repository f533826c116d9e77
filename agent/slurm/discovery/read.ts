/** Reads what find.ts decides from. The base is "" but in tests, where it is a directory with a /proc and control groups. */
import { readdirSync } from 'node:fs';
import { isFrozen, membershipsOf, readCgroupMounts } from '../../proc/cgroups';
import { parseIdentity, parseStat, readText } from '../../proc/stat';
import type { Environment, NodeFacts, ProcessFacts } from './find';

/** Only these are looked at: an environment may hold secrets. */
const VARIABLES =
  /^(SLURM_JOB_ID(_HET_GROUP_[0-9]{1,3})?|SLURM_JOB_UID|SLURM_PROCID|SLURM_ARRAY_(JOB|TASK)_ID|HOLDFAST_SLURM_OPTIONS)$/;
const MAX_VALUE = 4096;

/** @param text of /proc/PID/environ */
export function parseEnvironment(text: string): Environment {
  const found: Record<string, string> = {};
  for (const entry of text.split('\0')) {
    const at = entry.indexOf('=');
    const name = entry.slice(0, Math.max(at, 0));
    if (VARIABLES.test(name) && entry.length - at <= MAX_VALUE) found[name] = entry.slice(at + 1);
  }
  return found;
}

const KERNEL_THREADS = 2;

/**
 * @param cells see NodeFacts
 * @returns null where no step of Slurm's runs
 */
export function readNode(cells: ReadonlySet<number>, base = ''): NodeFacts | null {
  const stats = pidsIn(`${base}/proc`).flatMap((pid) => {
    const text = readText(`${base}/proc/${pid}/stat`);
    return text === null ? [] : [parseStat(pid, text)];
  });
  if (!stats.some(({ comm }) => comm === 'slurmstepd')) return null;
  const mounts = readCgroupMounts(base);
  const processes = stats
    .filter(({ parentPid }) => parentPid !== KERNEL_THREADS)
    .flatMap((stat): ProcessFacts[] => {
      const status = readText(`${base}/proc/${stat.pid}/status`);
      if (status === null) return [];
      const { uid, gid } = parseIdentity(status);
      return [
        {
          ...stat,
          ...{ uid, gid, groups: membershipsOf(stat.pid, base) },
          commandLine: readText(`${base}/proc/${stat.pid}/cmdline`) ?? '',
        },
      ];
    });
  return {
    ...{ processes, cells },
    environmentOf: (pid) => parseEnvironment(readText(`${base}/proc/${pid}/environ`) ?? ''),
    isFrozen: ({ groups }) => isFrozen(groups, mounts, base),
  };
}

function pidsIn(directory: string): number[] {
  return readdirSync(directory)
    .filter((name) => /^[1-9][0-9]{0,9}$/.test(name))
    .map(Number);
}
