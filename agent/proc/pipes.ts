/** Pipes and terminals whose other end is outside a tree. */

import { type Descriptor, descriptors, isWritable, statDescriptor } from './descriptors';
import { allPids } from './stat';

export interface ExternalDescriptor {
  readonly pid: number;
  readonly fd: number;
  /** CRIU's name of the resource: "pipe:[INODE]" or "tty[RDEV:DEV]", numbers in hex for a terminal. */
  readonly resource: string;
  readonly writable: boolean;
}

const isPipe = (descriptor: Descriptor): boolean => /^pipe:\[\d+\]$/.test(descriptor.target);
const isTerminal = (descriptor: Descriptor): boolean =>
  /^\/dev\/(pts\/\d+|tty\d*|console)$/.test(descriptor.target);

function terminalResource(descriptor: Descriptor): string | null {
  const stat = statDescriptor(descriptor.pid, descriptor.fd);
  return stat === null ? null : `tty[${stat.rdev.toString(16)}:${stat.dev.toString(16)}]`;
}

/** Every descriptor of the tree that leads to a pipe held outside it, or to a terminal. */
export function externalDescriptors(all: readonly Descriptor[]): ExternalDescriptor[] {
  const inside = new Set(all.map((descriptor) => descriptor.pid));
  const pipes = new Set(all.filter(isPipe).map((descriptor) => descriptor.target));
  const shared = new Set<string>();
  if (pipes.size > 0) {
    for (const pid of allPids().filter((candidate) => !inside.has(candidate))) {
      for (const other of descriptors(pid)) if (pipes.has(other.target)) shared.add(other.target);
    }
  }
  const ownsMaster = all.some((descriptor) => descriptor.target.endsWith('/ptmx'));
  return all.flatMap((descriptor) => {
    const { pid, fd, flags } = descriptor;
    const terminal = isTerminal(descriptor) && !ownsMaster ? terminalResource(descriptor) : null;
    const resource = shared.has(descriptor.target) ? descriptor.target : terminal;
    return resource === null ? [] : [{ pid, fd, resource, writable: isWritable(flags) }];
  });
}
