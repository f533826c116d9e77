/** Which objects a tree consists of: the one place that knows all the fields that name some. Pure. */
import type { ObjectRef, StreamRef, TreeImage } from '../proto/gen/holdfast/v1/manifest';

/** @param name the last part of the object's key, unique in the tree (docs/format.md, "Keys") */
type Change = (object: ObjectRef, name: string) => ObjectRef;

const numbered = (name: string, index: number): string => `${name}-${String(index + 1).padStart(5, '0')}`;

/** The tree with each of its objects changed, in the order of the manifest. */
export function mapObjects(tree: TreeImage, change: Change): TreeImage {
  const list = (objects: readonly ObjectRef[], name: string) =>
    objects.map((object, index) => change(object, numbered(name, index)));
  const stream = (ref: StreamRef | undefined, name: string) =>
    ref && { ...ref, segments: list(ref.segments, name) };
  const single = (object: ObjectRef | undefined, name: string) => object && change(object, name);
  return {
    ...tree,
    images: stream(tree.images, 'images'),
    files: stream(tree.files, 'files'),
    rootProgram: single(tree.rootProgram, 'root-program'),
    index: single(tree.index, 'index'),
    packs: list(tree.packs, 'pack'),
  };
}

export function objectsOf(tree: TreeImage): ObjectRef[] {
  const objects: ObjectRef[] = [];
  mapObjects(tree, (object) => {
    objects.push(object);
    return object;
  });
  return objects;
}
