/** Whether a node can run what another one captured. Pure; the answer is the reason why not, or null. */
import { isIPv6 } from 'node:net';
import type { NodeFacts } from '../../proto/gen/holdfast/v1/manifest';

/** @param neededBytes of memory, for the part it would take over */
export function whyIncapable(recorded: NodeFacts, candidate: NodeFacts, neededBytes: number): string | null {
  if (candidate.architecture !== recorded.architecture) {
    return `it is ${candidate.architecture}, the image ${recorded.architecture}`;
  }
  const available = new Set(candidate.cpuFlags);
  const missing = recorded.cpuFlags.filter((flag) => !available.has(flag));
  if (missing.length > 0) return `its processor lacks ${missing.slice(0, 5).join(', ')}`;
  if (compareVersions(candidate.criuVersion, recorded.criuVersion) < 0) {
    return `its CRIU ${candidate.criuVersion} is older than the image's ${recorded.criuVersion}`;
  }
  // What a process asked of its kernel, a newer one still has; patches of one release make no difference.
  if (compareVersions(releaseOf(candidate), releaseOf(recorded)) < 0) {
    return `its kernel ${candidate.kernelRelease} is older than the image's ${recorded.kernelRelease}`;
  }
  // A node that does not say how much it has is not refused for it.
  if (candidate.memoryBytes > 0 && candidate.memoryBytes < neededBytes) {
    return `it has ${gibibytes(candidate.memoryBytes)} of memory, the image ${gibibytes(neededBytes)}`;
  }
  for (const [family, isFamily] of FAMILIES) {
    const wanted = recorded.addresses.filter(isFamily).length;
    const found = candidate.addresses.filter(isFamily).length;
    if (found < wanted) return `it has ${found} ${family} addresses, the image ${wanted}`;
  }
  return null;
}

/** "6.18.0-1-amd64" → "6.18" */
function releaseOf({ kernelRelease }: NodeFacts): string {
  return /^[0-9]+(\.[0-9]+)?/.exec(kernelRelease)?.[0] ?? '0';
}

function gibibytes(bytes: number): string {
  return `${(bytes / 1024 ** 3).toFixed(1)} GiB`;
}

const FAMILIES: readonly (readonly [string, (address: string) => boolean])[] = [
  ['IPv4', (address) => !isIPv6(address)],
  ['IPv6', (address) => isIPv6(address)],
];

/** Numbers between dots; what follows them (a distribution's suffix) says nothing about the format. */
export function compareVersions(a: string, b: string): number {
  const [left, right] = [a, b].map((text) =>
    (/[0-9]+(\.[0-9]+)*/.exec(text)?.[0] ?? '0').split('.').map(Number),
  );
  for (let i = 0; i < Math.max(left?.length ?? 0, right?.length ?? 0); i++) {
    const difference = (left?.[i] ?? 0) - (right?.[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}
