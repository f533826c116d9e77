/** One generation out of the store, as one sequential stream. */
import {
  countObjects,
  encodeManifestParts,
  encodeObjectRef,
  encodeSeal,
  encodeTail,
  MANIFEST_TAGS,
  objectsInOrder,
} from '../../core/export/content';
import { PREAMBLE_BYTES, type SectionTag, sectionBytes } from '../../core/export/framing';
import type { Manifest, ObjectRef } from '../../proto/gen/holdfast/v1/manifest';
import type { ObjectStore } from '../../store/contract';
import { sha256Hex } from '../../store/sha256';
import { fetchVerified } from '../../store/stream';
import { SectionWriter } from './sections';

export interface Export {
  readonly totalBytes: number;
  readonly objectCount: number;
  /** Buffers of any size up to that of an object; at most two objects are in memory. */
  readonly stream: () => AsyncGenerator<Buffer>;
}

type Planned = readonly [SectionTag, Buffer];

/** @throws HoldfastError CORRUPT when the manifest contradicts itself */
export async function planExport(store: ObjectStore, manifest: Manifest, key: Uint8Array): Promise<Export> {
  const objects = objectsInOrder(manifest);
  const parts = encodeManifestParts(manifest);
  const seal = encodeSeal(key, await Promise.all(parts.map(sha256Hex)));
  const before: Planned[] = [
    ...MANIFEST_TAGS.map((tag, index): Planned => [tag, parts[index] ?? Buffer.alloc(0)]),
    ['SEAL', seal],
  ];
  const tail = encodeTail(manifest.tail, countObjects(objects));
  const lengths = [
    ...before.map(([, payload]) => payload.length),
    ...objects.flatMap((object) => [encodeObjectRef(object).length, object.sizeBytes]),
    tail.length,
  ];
  return {
    totalBytes: lengths.reduce((sum, length) => sum + sectionBytes(length), PREAMBLE_BYTES),
    objectCount: objects.length,
    stream: () => write(store, before, objects, tail),
  };
}

async function* write(
  store: ObjectStore,
  before: readonly Planned[],
  objects: readonly ObjectRef[],
  tail: Buffer,
): AsyncGenerator<Buffer> {
  const writer = new SectionWriter();
  yield writer.preamble();
  for (const [tag, payload] of before) yield* await writer.section(tag, payload);
  for await (const [object, body] of bodies(store, objects)) {
    yield* await writer.section('OREF', encodeObjectRef(object));
    yield* await writer.section('DATA', body, object.sha256);
  }
  yield* await writer.section('TAIL', tail);
}

/** Each found to be what the manifest says before a byte of it is passed on; the next one is fetched meanwhile. */
async function* bodies(
  store: ObjectStore,
  objects: readonly ObjectRef[],
): AsyncGenerator<readonly [ObjectRef, Buffer]> {
  const fetch = (object: ObjectRef) => {
    const body = fetchVerified(store, object);
    // Met by the await below, unless the reader goes away before.
    body.catch(() => undefined);
    return body;
  };
  let next: Promise<Buffer> | undefined;
  for (const [index, object] of objects.entries()) {
    const body = await (next ?? fetch(object));
    const following = objects[index + 1];
    next = following && fetch(following);
    yield [object, body];
  }
}
