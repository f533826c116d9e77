/** What arrives on an import: the manifest first, then its objects, each checked before it is stored. */
import {
  checkObjectRef,
  checkTail,
  countObjects,
  decodeManifestParts,
  isSealed,
  MANIFEST_TAGS,
  objectsInOrder,
} from '../../core/export/content';
import { corrupt, PAYLOAD_LIMIT_BYTES } from '../../core/export/framing';
import type { Manifest, ObjectRef } from '../../proto/gen/holdfast/v1/manifest';
import type { ObjectStore } from '../../store/contract';
import { findSealKey } from './sealKey';
import type { Section, SectionReader } from './sections';

/** Numbers beyond are in no store, and would leave no room for those to come. */
const MAX_GENERATION = 999_999_999;
const MAX_NUMBER = 2 ** 50;

export interface Arrived {
  readonly manifest: Manifest;
  readonly objects: readonly ObjectRef[];
  /** Exported from this store, or one with its key. */
  readonly sealed: boolean;
}

/** @throws HoldfastError CORRUPT, UNKNOWN_FORMAT */
export async function readManifest(store: ObjectStore, reader: SectionReader): Promise<Arrived> {
  await reader.preamble();
  const parts: Section[] = [];
  for (const tag of MANIFEST_TAGS) parts.push(await reader.section(tag));
  const seal = await reader.section('SEAL');
  const manifest = decodeManifestParts(parts.map(({ payload }) => payload));
  checkNumbers(manifest);
  const objects = objectsInOrder(manifest);
  const tooLarge = objects.find(({ sizeBytes }) => sizeBytes > PAYLOAD_LIMIT_BYTES.DATA);
  if (tooLarge !== undefined) throw corrupt(`names an object of ${tooLarge.sizeBytes} bytes`);
  const digests = parts.map(({ digest }) => digest);
  return { manifest, objects, sealed: isSealed(seal.payload, await findSealKey(store), digests) };
}

function checkNumbers({ header }: Manifest): void {
  const { generation = 0, epoch = 0, ckptId = 0 } = header ?? {};
  if (generation > MAX_GENERATION || epoch > MAX_NUMBER || ckptId > MAX_NUMBER)
    throw corrupt('has a generation, epoch or checkpoint id out of range');
}

/**
 * The objects into the store, and the stream to its end. One object is stored while the next one arrives.
 * @param keys by the key in the stream: where the object goes
 * @throws HoldfastError CORRUPT, UNKNOWN_FORMAT, or what the store throws; then nothing is being written any more
 */
export async function storeObjects(
  store: ObjectStore,
  reader: SectionReader,
  { manifest, objects }: Arrived,
  keys: ReadonlyMap<string, string>,
): Promise<void> {
  let storing: Promise<void> = Promise.resolve();
  try {
    for (const object of objects) {
      checkObjectRef((await reader.section('OREF')).payload, object);
      const { payload, digest } = await reader.section('DATA', object.sizeBytes);
      if (digest !== object.sha256) throw corrupt(`has other bytes for ${object.key} than its manifest says`);
      await storing;
      storing = store.put(keys.get(object.key) ?? '', payload, { sha256: digest });
      // Met by the next await; until then it must not count as unhandled.
      storing.catch(() => undefined);
    }
    await storing;
    checkTail((await reader.section('TAIL')).payload, manifest.tail, countObjects(objects));
    await reader.end();
  } finally {
    await storing.catch(() => undefined);
  }
}
