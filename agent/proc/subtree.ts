/** CHECKPOINT_SUBTREE: a process and all its descendants. */
import { allPids, type ProcessStat, processIdentity, processStat, readLink } from './stat';

/** The subtree at root, parents before children; empty when root is gone. Zombies are included. */
export function subtree(root: number): ProcessStat[] {
  const children = new Map<number, ProcessStat[]>();
  let rootStat: ProcessStat | null = null;
  for (const pid of allPids()) {
    const stat = processStat(pid);
    if (stat === null) continue;
    if (pid === root) rootStat = stat;
    const siblings = children.get(stat.parentPid);
    if (siblings) siblings.push(stat);
    else children.set(stat.parentPid, [stat]);
  }
  if (rootStat === null) return [];
  const found: ProcessStat[] = [rootStat];
  for (let next = 0; next < found.length; next++) {
    const stat = found[next];
    if (stat) found.push(...(children.get(stat.pid) ?? []));
  }
  return found;
}

/** The pid as the process itself sees it, in the innermost of its pid namespaces; null when it is gone. */
export function innermostPid(pid: number): number | null {
  return processIdentity(pid)?.namespacePids.at(-1) ?? null;
}

/** Pid in a namespace -> pid here, for every process that lives in the pid namespace of `member`. */
export function pidsOfNamespace(member: number): Map<number, number> {
  const namespace = readLink(`/proc/${member}/ns/pid`);
  const pids = new Map<number, number>();
  if (namespace === null) return pids;
  for (const pid of allPids()) {
    if (readLink(`/proc/${pid}/ns/pid`) !== namespace) continue;
    const inner = innermostPid(pid);
    if (inner !== null) pids.set(inner, pid);
  }
  return pids;
}
