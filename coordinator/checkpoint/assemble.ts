/** From what all nodes captured to one manifest. Pure. */
import { HoldfastError } from '../../core/errors';
import { encodeManifest, MANIFEST_FORMAT, MANIFEST_VERSION } from '../../core/manifest';
import { checkManifest } from '../../core/manifest-check';
import { objectsOf } from '../../core/manifest-objects';
import type { CheckpointSummary, Job, PlacedTree } from '../../proto/gen/holdfast/v1/coordinator';
import type { Manifest, NodePart } from '../../proto/gen/holdfast/v1/manifest';

export interface AssembleInput {
  readonly job: Job;
  readonly ckptId: number;
  readonly generation: number;
  readonly epoch: number;
  readonly createdMs: number;
  readonly version: string;
  /** By node. */
  readonly parts: ReadonlyMap<string, NodePart>;
  /** The job's trees when the checkpoint began. */
  readonly trees: readonly PlacedTree[];
}

/** @throws HoldfastError INTERNAL when the parts do not make the job: such a generation must not exist */
export function assembleManifest(input: AssembleInput): Manifest {
  const { job, generation, epoch } = input;
  const nodes = inOrder(input);
  const trees = nodes.flatMap((part) => part.trees);
  const manifest: Manifest = {
    format: MANIFEST_FORMAT,
    version: MANIFEST_VERSION,
    header: {
      ckptId: input.ckptId,
      job: job.id,
      generation,
      epoch,
      createdMs: input.createdMs,
      holdfastVersion: input.version,
      spec: job.spec,
      deadlineMs: job.deadlineMs,
    },
    container: { addressAliases: job.addressAliases },
    nodes,
    tail: {
      nodeCount: nodes.length,
      treeCount: trees.length,
      taskCount: trees.reduce((sum, tree) => sum + tree.tasks.length, 0),
    },
  };
  const problem = checkManifest(manifest) ?? checkParts(input);
  if (problem !== null) {
    throw new HoldfastError('INTERNAL', `job ${job.id}, generation ${generation}: ${problem}`);
  }
  return manifest;
}

/** As the job names its nodes, whoever answered first: restarts plan and list trees in this order. */
function inOrder({ parts, trees }: AssembleInput): NodePart[] {
  const named = new Set(trees.map(({ node }) => node));
  const rest = [...parts.keys()].filter((node) => !named.has(node)).sort();
  return [...named, ...rest].flatMap((node) => parts.get(node) ?? []);
}

/** Every tree there was at the start is in its node's part, unless it has ended since. */
function checkParts({ job, parts, trees }: AssembleInput): string | null {
  for (const [node, part] of parts)
    if (part.node !== node) return `node ${node} sent the part of ${part.node}`;
  for (const tree of trees) {
    const isCaptured = parts.get(tree.node)?.trees.some(({ treeId }) => treeId === tree.treeId) ?? false;
    const isThere = job.trees.some(({ treeId }) => treeId === tree.treeId);
    if (!isCaptured && isThere) return `tree ${tree.treeId} on node ${tree.node} was not captured`;
  }
  return null;
}

/** @param measured what the manifest does not say */
export function summarize(
  manifest: Manifest,
  measured: { uploadedBytes: number; durationMs: number; heldMs: number },
): CheckpointSummary {
  const { header, tail } = manifest;
  const trees = manifest.nodes.flatMap((part) => part.trees);
  return {
    ckptId: header?.ckptId ?? 0,
    job: header?.job ?? '',
    generation: header?.generation ?? 0,
    createdMs: header?.createdMs ?? 0,
    nodes: manifest.nodes.map((part) => part.node),
    taskCount: tail?.taskCount ?? 0,
    capturedBytes: trees.reduce((sum, tree) => sum + (tree.memory?.capturedBytes ?? 0), 0),
    uploadedBytes: measured.uploadedBytes,
    heldMs: Math.max(measured.heldMs, ...trees.map((tree) => tree.heldMs)),
    durationMs: measured.durationMs,
    uid: header?.spec?.uid ?? 0,
    account: header?.spec?.account ?? '',
    epoch: header?.epoch ?? 0,
    pinned: false,
    quarantine: '',
    failedRestarts: 0,
  };
}

/** What the store holds of the manifest, for a summary after a rebuild. */
export function storedBytes(manifest: Manifest): number {
  let sum = encodeManifest(manifest).length;
  for (const tree of manifest.nodes.flatMap((part) => part.trees)) {
    for (const object of objectsOf(tree)) sum += object.sizeBytes;
  }
  return sum;
}
