/** What is in the sections of an export: the manifest in parts, its objects each once, and its tail again. Pure. */
import { createHmac, timingSafeEqual } from 'node:crypto';
import {
  Manifest,
  ManifestTail,
  ObjectRef,
  type ManifestTail as Tail,
} from '../../proto/gen/holdfast/v1/manifest';
import { manifestOf, parseJson } from '../manifest';
import { objectsOf } from '../manifest-objects';
import { corrupt } from './framing';

/** The sections that make the manifest, in the order of the stream. */
export const MANIFEST_TAGS = ['HEAD', 'CONT', 'TREE'] as const;

const SOURCE = 'the manifest of the exported stream';

const encode = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));

export function encodeManifestParts(manifest: Manifest): Buffer[] {
  const { format, version, header, container, nodes, tail } = Manifest.toJSON(manifest) as Record<
    string,
    unknown
  >;
  return [{ format, version, header }, { container: container ?? {} }, { nodes, tail }].map(encode);
}

/** @throws HoldfastError CORRUPT, UNKNOWN_FORMAT */
export function decodeManifestParts(parts: readonly Uint8Array[]): Manifest {
  const whole: unknown[] = parts.map((part) => parseJson(part, SOURCE));
  return manifestOf(Object.assign({}, ...whole), SOURCE);
}

/**
 * Tree by tree in the manifest's order, what several trees share at its first place.
 * @throws HoldfastError CORRUPT when one key stands for different objects
 */
export function objectsInOrder(manifest: Manifest): ObjectRef[] {
  const byKey = new Map<string, ObjectRef>();
  for (const object of manifest.nodes.flatMap(({ trees }) => trees).flatMap(objectsOf)) {
    const known = byKey.get(object.key);
    if (known === undefined) byKey.set(object.key, object);
    else if (!isSameObject(known, object)) throw corrupt(`names two different objects ${object.key}`);
  }
  return [...byKey.values()];
}

export function encodeObjectRef(object: ObjectRef): Buffer {
  return encode(ObjectRef.toJSON(object));
}

/** @throws HoldfastError CORRUPT unless it is the object that the manifest has at this place */
export function checkObjectRef(bytes: Uint8Array, expected: ObjectRef): void {
  const found = parseJson(bytes, 'an object reference of the exported stream');
  if (typeof found !== 'object' || found === null) throw corrupt('has a reference that is no object');
  if (!isSameObject(ObjectRef.fromJSON(found), expected))
    throw corrupt(`has another object where ${expected.key} belongs`);
}

function isSameObject(one: ObjectRef, other: ObjectRef): boolean {
  return one.key === other.key && one.sizeBytes === other.sizeBytes && one.sha256 === other.sha256;
}

export interface Counted {
  readonly objects: number;
  /** Of all objects together. */
  readonly bytes: number;
}

export function countObjects(objects: readonly ObjectRef[]): Counted {
  return { objects: objects.length, bytes: objects.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0) };
}

export function encodeTail(tail: Tail | undefined, { objects, bytes }: Counted): Buffer {
  return encode({
    tail: ManifestTail.toJSON(tail ?? ManifestTail.fromPartial({})),
    objects: String(objects),
    bytes: String(bytes),
  });
}

/** @throws HoldfastError CORRUPT unless it says what was read before it */
export function checkTail(bytes: Uint8Array, tail: Tail | undefined, counted: Counted): void {
  const found = parseJson(bytes, 'the tail of the exported stream') as Record<string, unknown> | null;
  const again = encodeTail(ManifestTail.fromJSON(found?.tail ?? {}), counted);
  const isSame =
    found?.objects === String(counted.objects) &&
    found.bytes === String(counted.bytes) &&
    again.equals(encodeTail(tail, counted));
  if (!isSame) throw corrupt('does not count in its tail what it holds');
}

const SEAL_ALGORITHM = 'hmac-sha256';
const SEAL_CONTEXT = 'holdfast export seal 1\n';

/** Over the manifest's parts, and so over all: the manifest holds every object's SHA-256. */
function sealValue(key: Uint8Array, digests: readonly string[]): Buffer {
  return createHmac('sha256', key).update(SEAL_CONTEXT).update(digests.join('\n')).digest();
}

/** @param digests SHA-256 of the manifest's parts, hex */
export function encodeSeal(key: Uint8Array, digests: readonly string[]): Buffer {
  return encode({ algorithm: SEAL_ALGORITHM, value: sealValue(key, digests).toString('hex') });
}

/** Whether the holder of the key exported this manifest. Another algorithm is one that nobody here can vouch for. */
export function isSealed(bytes: Uint8Array, key: Uint8Array | null, digests: readonly string[]): boolean {
  const seal = parseJson(bytes, 'the seal of the exported stream') as Record<string, unknown> | null;
  if (key === null || seal?.algorithm !== SEAL_ALGORITHM || typeof seal.value !== 'string') return false;
  const expected = sealValue(key, digests);
  const found = Buffer.from(seal.value, 'hex');
  return found.length === expected.length && timingSafeEqual(found, expected);
}
