/** Facts about this node that a restart planner needs. */
import { arch, hostname, networkInterfaces, release, totalmem } from 'node:os';
import type { NodeFacts } from '../proto/gen/holdfast/v1/manifest';
import { readProc } from './proc/stat';

/** Every IPv4 address that others can reach. */
export function ownAddresses(): string[] {
  return Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .filter((address) => address.family === 'IPv4' && !address.internal)
    .map((address) => address.address);
}

export function nodeFacts(addresses: readonly string[], criuVersion: string): NodeFacts {
  const flags = /^flags\s*:\s*(.*)$/m.exec(readProc('/proc/cpuinfo') ?? '')?.[1] ?? '';
  return {
    hostname: hostname(),
    kernelRelease: release(),
    criuVersion,
    architecture: arch(),
    cpuFlags: flags.split(' ').filter(Boolean),
    addresses: [...addresses],
    memoryBytes: totalmem(),
  };
}
