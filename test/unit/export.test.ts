/** The exported stream: what it is, and that no damage to it goes unnoticed. */
import { createHash, randomInt } from 'node:crypto';
import { readManifest, storeObjects } from '../../coordinator/transfer/arrival';
import { planExport } from '../../coordinator/transfer/export';
import { rekey } from '../../coordinator/transfer/rekey';
import { sealKey } from '../../coordinator/transfer/sealKey';
import { SectionReader } from '../../coordinator/transfer/sections';
import { objectsInOrder } from '../../core/export/content';
import {
  decodeSectionHeader,
  encodeSectionHeader,
  PREAMBLE_BYTES,
  SECTION_HEADER_BYTES,
  type SectionTag,
} from '../../core/export/framing';
import { checkManifest } from '../../core/manifest-check';
import { objectsOf } from '../../core/manifest-objects';
import { type Manifest, ManifestTail } from '../../proto/gen/holdfast/v1/manifest';
import { MemoryStore } from '../contract/memoryStore';
import { storeGeneration } from './coordinator/support/generation';

const PLACE = { job: 'j-zzzzzzzzzzzz', generation: 3, epoch: 100, ckptId: 4 };

let store: MemoryStore;
let manifest: Manifest;
let stream: Buffer;

beforeAll(async () => {
  store = new MemoryStore();
  manifest = await storeGeneration(store);
  stream = await exported(manifest);
});

async function exported(from: Manifest): Promise<Buffer> {
  const planned = await planExport(store, from, await sealKey(store));
  const pieces: Buffer[] = [];
  for await (const piece of planned.stream()) pieces.push(piece);
  const whole = Buffer.concat(pieces);
  expect(whole.length).toBe(planned.totalBytes);
  return whole;
}

/** In chunks of any size, as a pipe gives them. */
async function* chunks(bytes: Buffer, chunkBytes: number): AsyncGenerator<Buffer> {
  for (let offset = 0; offset < bytes.length; offset += chunkBytes) {
    yield bytes.subarray(offset, offset + chunkBytes);
  }
}

async function received(bytes: Buffer, chunkBytes = 4099, from: MemoryStore = store) {
  const target = new MemoryStore();
  const reader = new SectionReader(chunks(bytes, chunkBytes));
  const arrived = await readManifest(from, reader);
  const { manifest: here, keys } = rekey(arrived.manifest, PLACE);
  await storeObjects(target, reader, arrived, keys);
  return { target, here, sealed: arrived.sealed, totalBytes: reader.totalBytes };
}

interface Region {
  readonly tag: SectionTag | 'preamble';
  readonly offset: number;
  readonly length: number;
}

/** Where what is, read from the stream itself. */
function regionsOf(bytes: Buffer): Region[] {
  const regions: Region[] = [{ tag: 'preamble', offset: 0, length: PREAMBLE_BYTES }];
  for (let offset = PREAMBLE_BYTES, number = 0; offset < bytes.length; number++) {
    const tag = bytes.toString('latin1', offset, offset + 4) as SectionTag;
    const header = bytes.subarray(offset, offset + SECTION_HEADER_BYTES);
    const length = SECTION_HEADER_BYTES + decodeSectionHeader(header, tag, number).payloadBytes + 32;
    regions.push({ tag, offset, length });
    offset += length;
  }
  return regions;
}

test.each([1, 7, 4096, 1 << 20])('a round trip in chunks of %d bytes', async (chunkBytes) => {
  const { target, here, sealed, totalBytes } = await received(stream, chunkBytes);
  expect({ sealed, totalBytes }).toEqual({ sealed: true, totalBytes: stream.length });
  expect(checkManifest(here)).toBeNull();
  expect(here.header).toEqual({ ...manifest.header, ...PLACE });
  expect(here.container).toEqual(manifest.container);
  const [before, after] = [manifest, here].map(({ nodes }) =>
    nodes.flatMap(({ trees }) => trees).flatMap(objectsOf),
  );
  expect(after?.map(({ sha256 }) => sha256)).toEqual(before?.map(({ sha256 }) => sha256));
  for (const { key, sha256 } of after ?? []) {
    const { body } = target.objects.get(key) ?? { body: Buffer.alloc(0) };
    expect(createHash('sha256').update(body).digest('hex')).toBe(sha256);
    expect(key).toMatch(/^jobs\/j-zzzzzzzzzzzz\/data\/3-100\/(n1\/main|n2\/m1)\/[a-z]+(-\d{5})?$/);
  }
});

test('sections come in order, and an object that trees and generations share comes once', () => {
  const tags = regionsOf(stream).map(({ tag }) => tag);
  const objects = objectsInOrder(manifest);
  expect(objects).toHaveLength(9);
  expect(tags).toEqual([
    ...['preamble', 'HEAD', 'CONT', 'TREE', 'SEAL'],
    ...objects.flatMap(() => ['OREF', 'DATA']),
    'TAIL',
  ]);
});

test('the same generation is the same stream', async () => {
  expect((await exported(manifest)).equals(stream)).toBe(true);
});

test('no damage goes unnoticed: bit flips and truncations in every region', async () => {
  const seed = process.env.HOLDFAST_TEST_SEED ?? String(randomInt(2 ** 31));
  process.stderr.write(`seed of the damages: HOLDFAST_TEST_SEED=${seed}\n`);
  let draws = 0;
  // A hash of seed and counter: the same seed gives the same damages.
  const draw = (below: number) =>
    createHash('sha256').update(`${seed} ${draws++}`).digest().readUInt32LE(0) % below;
  const damages: [string, Buffer][] = [];
  for (const { tag, offset, length } of regionsOf(stream)) {
    const payloadEnd = Math.max(SECTION_HEADER_BYTES, length - 32);
    // Header, payload and digest each get their share.
    const spans =
      tag === 'preamble'
        ? [[0, length]]
        : [
            [0, SECTION_HEADER_BYTES],
            [SECTION_HEADER_BYTES, payloadEnd],
            [payloadEnd, length],
          ];
    for (const [from = 0, to = 0] of spans.filter(([a = 0, b = 0]) => b > a)) {
      for (let turn = 0; turn < 8; turn++) {
        const bit = offset * 8 + from * 8 + draw((to - from) * 8);
        const flipped = Buffer.from(stream);
        flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
        damages.push([`bit ${bit} of ${tag}`, flipped]);
      }
      const end = offset + from + draw(to - from);
      damages.push([`ends at ${end} in ${tag}`, stream.subarray(0, end)]);
    }
  }
  damages.push(
    ['one byte short', stream.subarray(0, -1)],
    ['one more', Buffer.concat([stream, Buffer.alloc(1)])],
  );
  damages.push(['twice', Buffer.concat([stream, stream])], ['nothing', Buffer.alloc(0)]);
  for (const [what, bytes] of damages) {
    const outcome = await received(bytes).then(
      () => 'taken',
      (error) => error.code,
    );
    expect({ what, outcome }).toEqual({ what, outcome: expect.stringMatching(/^(CORRUPT|UNKNOWN_FORMAT)$/) });
  }
});

test('sections that are left out, doubled, exchanged or from another export are found', async () => {
  const regions = regionsOf(stream);
  const parts = regions.map(({ offset, length }) => stream.subarray(offset, offset + length));
  const other = await exported(await storeGeneration(store, { job: 'j-bbbbbbbbbbbb' }));
  const otherParts = regionsOf(other).map(({ offset, length }) => other.subarray(offset, offset + length));
  for (let index = 1; index < parts.length; index++) {
    const variants = [
      parts.filter((_, i) => i !== index),
      [...parts.slice(0, index), ...parts.slice(index - 1)],
      parts.map((part, i) =>
        i === index ? (parts[index - 1] as Buffer) : i === index - 1 ? (parts[index] as Buffer) : part,
      ),
      parts.map((part, i) => (i === index ? (otherParts[i] as Buffer) : part)),
    ];
    for (const [variant, pieces] of variants.entries()) {
      const bytes = Buffer.concat(pieces);
      // What is global in both jobs is the same, and so is a tail that counts the same.
      if (bytes.equals(stream)) continue;
      const outcome = await received(bytes).then(
        ({ sealed }) => (sealed ? 'taken' : 'not sealed'),
        (error) => error.code,
      );
      expect({ index, variant, outcome }).toEqual({
        ...{ index, variant },
        outcome: regions[index]?.tag === 'SEAL' && variant === 3 ? 'not sealed' : 'CORRUPT',
      });
    }
  }
});

test.each<[string, (bytes: Buffer) => Buffer]>([
  ['version', (bytes) => rechecked(bytes, 0, PREAMBLE_BYTES, 4, 2)],
  ['flag of the stream', (bytes) => rechecked(bytes, 0, PREAMBLE_BYTES, 6, 1)],
  ['kind of section', (bytes) => rechecked(bytes, PREAMBLE_BYTES, SECTION_HEADER_BYTES, 0, 0x58)],
  ['flag of a section', (bytes) => rechecked(bytes, PREAMBLE_BYTES, SECTION_HEADER_BYTES, 4, 1)],
])('an unknown %s is of an unknown format', async (_, change) => {
  await expect(received(change(Buffer.from(stream)))).rejects.toMatchObject({ code: 'UNKNOWN_FORMAT' });
});

/** One byte of a header changed, with the right check again: what a newer release might write. */
function rechecked(bytes: Buffer, start: number, length: number, at: number, value: number): Buffer {
  bytes[start + at] = value;
  const end = start + length - 8;
  createHash('sha256').update(bytes.subarray(start, end)).digest().copy(bytes, end, 0, 8);
  return bytes;
}

test('a section longer than its kind may be is refused before it is read', () => {
  const header = encodeSectionHeader({ tag: 'DATA', number: 5, payloadBytes: 2 ** 40 });
  expect(() => decodeSectionHeader(header, 'DATA', 5)).toThrow(/1099511627776 bytes/);
});

test('the seal is of the store that exported, and of the manifest', async () => {
  expect((await received(stream)).sealed).toBe(true);
  const elsewhere = new MemoryStore();
  expect((await received(stream, 4096, elsewhere)).sealed).toBe(false);
  expect(elsewhere.objects.size).toBe(0);
  await sealKey(elsewhere);
  expect((await received(stream, 4096, elsewhere)).sealed).toBe(false);
});

test('what the store has lost or changed is not exported', async () => {
  const damaged = new MemoryStore();
  const from = await storeGeneration(damaged);
  const [first] = objectsInOrder(from);
  await damaged.put(first?.key ?? '', Buffer.alloc(first?.sizeBytes ?? 0));
  const planned = await planExport(damaged, from, Buffer.alloc(32));
  const drain = async () => {
    for await (const _ of planned.stream());
  };
  await expect(drain()).rejects.toMatchObject({ code: 'CORRUPT' });
  await damaged.delete(first?.key ?? '');
  await expect(drain()).rejects.toMatchObject({ code: 'OBJECT_MISSING' });
});

test('one key for two objects is refused', async () => {
  const [part] = manifest.nodes;
  const [tree] = part?.trees ?? [];
  const [pack] = tree?.packs ?? [];
  if (!part || !tree || !pack) throw new Error('no pack');
  const packs = [pack, { ...pack, sizeBytes: 1 }];
  const twisted = {
    ...manifest,
    nodes: [{ ...part, trees: [{ ...tree, packs }] }],
    tail: ManifestTail.fromPartial({}),
  };
  expect(() => objectsInOrder(twisted)).toThrow(/two different objects/);
});
