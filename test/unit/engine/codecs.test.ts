/** How a chunk is stored: the choice, and that every codec gives back what it was given. */
import { randomBytes } from 'node:crypto';
import { type CodecQuestion, chooseCodec, decodeBlob, encodeChunk } from '../../../native';
import { MIB } from './capture-all';
import { thrownBy } from './failures';
import { resealBlob, sha256 } from './format';

const CODEC_NUMBERS = { none: 0, zstd: 1, lz4: 2, 'shuffle-lz4': 3 } as const;
const codecOf = (blob: Buffer) => blob.readUInt16LE(6);

/** Numbers below 1000 in float64, as counters and indexes of scientific programs are. */
const integers = Buffer.from(new Float64Array(MIB / 8).map((_, i) => (i * 7919) % 1000).buffer);
const random = randomBytes(MIB);
const chunks = [
  ['numbers', integers],
  ['random', random],
  ['zeros', Buffer.alloc(MIB)],
  ['one page', integers.subarray(0, 4096)],
] as const;

test.each(
  chunks.flatMap(([name, raw]) =>
    (['auto', 'zstd', 'lz4', 'shuffle-lz4', 'none'] as const).map((c) => [name, c, raw] as const),
  ),
)('%s by %s come back', (_, codec, raw) => {
  const { blob, address } = encodeChunk(raw, { codec, compressionLevel: 1 });
  expect(decodeBlob(blob).equals(raw)).toBe(true);
  expect(address).toBe(sha256(raw).toString('hex'));
});

test('a codec that was asked for is used, and what would grow is stored as it is', () => {
  for (const codec of ['zstd', 'lz4', 'shuffle-lz4'] as const) {
    const shrunk = encodeChunk(integers, { codec, compressionLevel: 1 });
    expect(shrunk.reason).toBe('requested');
    expect(codecOf(shrunk.blob)).toBe(CODEC_NUMBERS[codec]);
    expect(shrunk.blob.length).toBeLessThan(integers.length / 2);
    const whole = encodeChunk(random, { codec, compressionLevel: 1 });
    expect(whole.reason).toBe('grew');
    expect(codecOf(whole.blob)).toBe(CODEC_NUMBERS.none);
  }
  expect(encodeChunk(integers, { codec: 'auto', compressionLevel: 0 }).reason).toBe('requested');
});

test('what does not shrink is found by its sample', () => {
  const { blob, reason } = encodeChunk(random, { codec: 'auto', compressionLevel: 1 });
  expect(reason).toBe('incompressible');
  expect(codecOf(blob)).toBe(CODEC_NUMBERS.none);
});

test('a sample that promises too much costs only the attempt', () => {
  // The sample takes the middle of each of 8 parts of 32 pages.
  const misleading = Buffer.from(random);
  for (let part = 0; part < 8; part++) misleading.fill(7, (32 * part + 16) * 4096, (32 * part + 17) * 4096);
  const { blob } = encodeChunk(misleading, { codec: 'auto', compressionLevel: 1 });
  expect(decodeBlob(blob).equals(misleading)).toBe(true);
});

const usual: CodecQuestion = {
  ...{ lz4Ratio: 0.4, lz4BytesPerS: 1e9, zstdRatio: 0.25, zstdBytesPerS: 0.4e9 },
  ...{ shuffleLz4Ratio: 1, shuffleLz4BytesPerS: 3e9 },
  ...{ uploadBytesPerS: 0, threads: 2 },
};

test.each([
  ['the store is slow', { uploadBytesPerS: 50e6 }, 'zstd', 'smallest'],
  ['the store is fast', { uploadBytesPerS: 2e9 }, 'none', 'faster'],
  [
    'the store is fast enough for lz4 only',
    { uploadBytesPerS: 0.5e9, zstdBytesPerS: 0.2e9 },
    'lz4',
    'faster',
  ],
  [
    'more threads make the processor wait for the store',
    { uploadBytesPerS: 0.5e9, threads: 16 },
    'zstd',
    'smallest',
  ],
  ['the store is not known yet, zstd is slow', { zstdBytesPerS: 0.3e9 }, 'lz4', 'faster'],
  ['the store is not known yet, zstd is quick', { zstdBytesPerS: 0.9e9 }, 'zstd', 'smallest'],
  ['random mantissas', { lz4Ratio: 1, zstdRatio: 0.937, uploadBytesPerS: 50e6 }, 'none', 'incompressible'],
  [
    'only entropy coding finds something',
    { lz4Ratio: 1, zstdRatio: 0.6, uploadBytesPerS: 50e6 },
    'zstd',
    'smallest',
  ],
  [
    'numbers, whose bytes shrink in another order',
    { lz4Ratio: 0.78, shuffleLz4Ratio: 0.5, zstdRatio: 0.52 },
    'shuffle-lz4',
    'smallest',
  ],
  [
    'only the order of bytes shows that it shrinks',
    { lz4Ratio: 1, shuffleLz4Ratio: 0.66, zstdRatio: 0.93 },
    'shuffle-lz4',
    'smallest',
  ],
  ['lz4 shrinks most', { lz4Ratio: 0.2, uploadBytesPerS: 50e6 }, 'lz4', 'smallest'],
] as const)('%s', (_, given, codec, reason) => {
  expect(chooseCodec({ ...usual, ...given })).toEqual({ codec, reason });
});

/** Pages of 8-byte numbers whose high half is always the same. */
const counters = Buffer.from(random);
for (let at = 0; at < counters.length; at += 8) counters.writeUInt32LE(7, at + 4);

test('numbers are stored byte by byte of their words', () => {
  const { blob } = encodeChunk(counters, { codec: 'shuffle-lz4', compressionLevel: 1 });
  expect(blob.length).toBeLessThan(0.52 * counters.length);
  expect(decodeBlob(blob).equals(counters)).toBe(true);
});

test('shuffled bytes lie as docs/format.md says', () => {
  const raw = Buffer.from(Array.from({ length: 4096 }, (_, at) => (at % 8) * 31 + (at >> 9)));
  const { blob } = encodeChunk(raw, { codec: 'shuffle-lz4', compressionLevel: 1 });
  expect(codecOf(blob)).toBe(CODEC_NUMBERS['shuffle-lz4']);
  // The same block as plain lz4 gives the bytes in their stored order.
  resealBlob(blob, 0, (header) => header.writeUInt16LE(CODEC_NUMBERS.lz4, 6));
  const words = raw.length / 8;
  const expected = Buffer.from(
    Array.from({ length: 4096 }, (_, at) => raw[(at % words) * 8 + Math.floor(at / words)] ?? 0),
  );
  resealBlob(blob, 0, (header) => sha256(expected).copy(header, 24));
  expect(decodeBlob(blob).equals(expected)).toBe(true);
});

test('pages that no machine has are refused', () => {
  const { blob } = encodeChunk(counters, { codec: 'shuffle-lz4', compressionLevel: 1 });
  resealBlob(blob, 0, (header) => header.writeUInt32LE(4095, 12));
  expect(thrownBy(() => decodeBlob(blob))).toMatchObject({ code: 'CORRUPT' });
});

test.each(['lz4', 'shuffle-lz4'] as const)('a damaged %s block is refused', (codec) => {
  const { blob } = encodeChunk(integers, { codec, compressionLevel: 1 });
  for (const at of [64, 65, 1000, blob.length - 1]) {
    const damaged = Buffer.from(blob);
    damaged[at] = (damaged[at] as number) ^ 0x10;
    expect(thrownBy(() => decodeBlob(damaged))).toMatchObject({ code: 'CORRUPT' });
  }
});

test('a codec of later times is refused as unknown', () => {
  const { blob } = encodeChunk(integers, { codec: 'zstd', compressionLevel: 1 });
  resealBlob(blob, 0, (header) => header.writeUInt16LE(4, 6));
  expect(thrownBy(() => decodeBlob(blob))).toMatchObject({ code: 'UNKNOWN_FORMAT' });
});
