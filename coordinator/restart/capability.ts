/** Whether a node can run what another one captured. Pure; the answer is the reason why not, or null. */
import { isIPv6 } from 'node:net';
import type { NodeFacts } from '../../proto/gen/holdfast/v1/manifest';

export function whyIncapable(recorded: NodeFacts, candidate: NodeFacts): string | null {
  if (candidate.architecture !== recorded.architecture) {
    return `it is ${candidate.architecture}, the image ${recorded.architecture}`;
  }
  const available = new Set(candidate.cpuFlags);
  const missing = recorded.cpuFlags.filter((flag) => !available.has(flag));
  if (missing.length > 0) return `its processor lacks ${missing.slice(0, 5).join(', ')}`;
  if (compareVersions(candidate.criuVersion, recorded.criuVersion) < 0) {
    return `its CRIU ${candidate.criuVersion} is older than the image's ${recorded.criuVersion}`;
  }
  for (const [family, isFamily] of FAMILIES) {
    const wanted = recorded.addresses.filter(isFamily).length;
    const found = candidate.addresses.filter(isFamily).length;
    if (found < wanted) return `it has ${found} ${family} addresses, the image ${wanted}`;
  }
  return null;
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
