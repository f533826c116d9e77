/** What must hold in every manifest before anything believes it. Pure. */
import type { Manifest, ManifestHeader, NodePart, TreeImage } from '../proto/gen/holdfast/v1/manifest';
import { isKeyId } from './encryption/keys';
import { isJobId, isNodeName, isTreeId } from './ids';
import { objectsOf } from './manifest-objects';

/** The first problem, as the end of a sentence, or null. */
export function checkManifest(manifest: Manifest): string | null {
  const { header, tail, nodes } = manifest;
  if (header === undefined) return 'no header';
  if (tail === undefined) return 'no tail: it was cut short';
  return checkHeader(header) ?? checkNodes(nodes, header) ?? checkTail(manifest);
}

function checkHeader(header: ManifestHeader): string | null {
  if (!isJobId(header.job)) return 'the header names no job';
  if (header.ckptId < 1 || header.generation < 1 || header.epoch < 1) {
    return 'checkpoint id, generation and epoch must be positive';
  }
  return header.spec === undefined ? 'no job specification' : null;
}

function checkNodes(nodes: readonly NodePart[], header: ManifestHeader): string | null {
  const names = new Set<string>();
  const treeIds = new Set<string>();
  let mains = 0;
  for (const part of nodes) {
    if (!isNodeName(part.node) || names.has(part.node)) return `node ${part.node} is no name or named twice`;
    if (part.facts === undefined) return `node ${part.node} has no facts`;
    names.add(part.node);
    for (const tree of part.trees) {
      if (!isTreeId(tree.treeId) || treeIds.has(tree.treeId)) {
        return `tree ${tree.treeId} is no name or named twice`;
      }
      treeIds.add(tree.treeId);
      if (tree.main) mains++;
      const problem = checkObjects(tree, header.job);
      if (problem !== null) return `tree ${tree.treeId}: ${problem}`;
    }
  }
  return mains === 1 ? null : `${mains} main trees, not one`;
}

/** A manifest names objects of its own job only, so that nobody reads another user's through it. */
function checkObjects(tree: TreeImage, job: string): string | null {
  for (const object of objectsOf(tree)) {
    const parts = object.key.split('/');
    const isKey = parts.every((part) => /^[A-Za-z0-9._-]+$/.test(part) && part !== '.' && part !== '..');
    if (!isKey || !object.key.startsWith(`jobs/${job}/`)) return `object ${object.key} is not the job's`;
    if (!/^[0-9a-f]{64}$/.test(object.sha256)) return `object ${object.key} has no checksum`;
    const { xxh3, encryptionKey } = object;
    if (xxh3 !== undefined && !/^[0-9a-f]{32}$/.test(xxh3)) return `object ${object.key} has no true XXH3`;
    if (encryptionKey !== undefined && !isKeyId(encryptionKey)) return `object ${object.key} names no key id`;
    if (object.sizeBytes < 0) return `object ${object.key} has a negative size`;
  }
  return null;
}

function checkTail(manifest: Manifest): string | null {
  const trees = manifest.nodes.flatMap((part) => part.trees);
  const tasks = trees.reduce((sum, tree) => sum + tree.tasks.length, 0);
  const { tail } = manifest;
  const isEqual =
    tail?.nodeCount === manifest.nodes.length && tail.treeCount === trees.length && tail.taskCount === tasks;
  return isEqual ? null : 'the tail does not count what the manifest holds';
}
