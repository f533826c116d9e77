/**
 * What a node says of a tree it has captured: as much as a small rank of an MPI job brings into a manifest. The objects
 * are named only; no simulated node writes any.
 */
import { createHash } from 'node:crypto';
import type { HostedTree } from '../../proto/gen/holdfast/v1/agent';
import type { ObjectRef, TreeImage } from '../../proto/gen/holdfast/v1/manifest';
import { TreeImage as Image } from '../../proto/gen/holdfast/v1/manifest';

const TASKS = 4;
const PACKS = 2;
export const CAPTURED_BYTES = 64 << 20;
const PAGE_BYTES = 4096;

/** @param keyPrefix of the attempt (C2) */
export function imageOf(tree: HostedTree, keyPrefix: string, node: string, heldMs: number): TreeImage {
  const { treeId, rootPid } = tree;
  const object = (name: string, sizeBytes: number): ObjectRef => {
    const key = `${keyPrefix}/${node}/${treeId}/${name}`;
    const sha256 = createHash('sha256').update(key).digest('hex');
    return { key, sizeBytes, sha256, xxh3: sha256.slice(0, 32), encryptionKey: undefined };
  };
  const packs = Array.from({ length: PACKS }, (_, i) =>
    object(`pack-${String(i + 1).padStart(5, '0')}`, CAPTURED_BYTES / PACKS),
  );
  const tasks = Array.from({ length: TASKS }, (_, i) => ({
    ...{ pid: i + 1, parentPid: i === 0 ? 0 : 1, threadCount: 2, comm: 'simulated' },
  }));
  return Image.fromPartial({
    ...{ treeId, main: treeId === 'main', rootPid, uid: 1000, gid: 1000, tasks, packs, heldMs },
    images: { segments: [object('images', 200_000)], encoding: 'tar+zstd' },
    index: object('index', 50_000),
    tcpPorts: [1024, 1025],
    memory: { capturedBytes: CAPTURED_BYTES, capturedPages: CAPTURED_BYTES / PAGE_BYTES, rounds: 2 },
    command: '/usr/bin/simulated',
  });
}
