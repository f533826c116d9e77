/** An imported generation's manifest as it will stand here: other numbers, and keys below its own prefix (C2). Pure. */
import { generationPrefix } from '../../core/manifest';
import { mapObjects } from '../../core/manifest-objects';
import type { Manifest } from '../../proto/gen/holdfast/v1/manifest';

export interface Place {
  readonly job: string;
  readonly generation: number;
  readonly epoch: number;
  readonly ckptId: number;
}

export interface Rekeyed {
  readonly manifest: Manifest;
  /** By the key in the stream: where the object goes. */
  readonly keys: ReadonlyMap<string, string>;
}

/** What several trees share keeps one place, that of its first tree. Nothing of an old key gets into a new one. */
export function rekey(manifest: Manifest, place: Place): Rekeyed {
  const keys = new Map<string, string>();
  const prefix = generationPrefix(place.job, place.generation, place.epoch);
  const nodes = manifest.nodes.map((part) => ({
    ...part,
    trees: part.trees.map((tree) =>
      mapObjects(tree, (object, name) => {
        const key = keys.get(object.key) ?? `${prefix}/${part.node}/${tree.treeId}/${name}`;
        keys.set(object.key, key);
        return { ...object, key };
      }),
    ),
  }));
  // A Slurm job of where it comes from says nothing here.
  const spec = manifest.header?.spec && { ...manifest.header.spec, slurm: undefined };
  const header = manifest.header && { ...manifest.header, ...place, spec };
  return { manifest: { ...manifest, header, nodes }, keys };
}
