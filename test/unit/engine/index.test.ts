/** The index parser meets damaged, unknown and hostile input. */
import { startFill } from '../../../native';
import { type Captured, captureAll } from './capture-all';
import { thrownBy } from './failures';
import { indexBody, sealIndex } from './format';
import { buildVictim } from './victim';

const program = buildVictim();
afterAll(() => program.remove());

let raw: Captured;
let packed: Captured;
/** Ourselves: a fill that is only opened writes nothing. */
const targets = [{ imagePid: 7, pid: process.pid }];

beforeAll(async () => {
  const victim = await program.start();
  await victim.ask('fill', 'filled');
  await victim.stop();
  raw = await captureAll([{ pid: victim.pid, imagePid: 7 }], { compressionLevel: 0 });
  packed = await captureAll([{ pid: victim.pid, imagePid: 7 }], { compressionLevel: 1 });
  victim.kill();
});

function codeOf(index: Buffer): string {
  return thrownBy(() => startFill(index, targets, { threads: 1 }).close()).code;
}

test('both encodings of the untouched index are accepted', () => {
  for (const { index, totals } of [raw, packed]) {
    const fill = startFill(index, targets, { threads: 1 });
    expect(fill.totalPages()).toBe(totals.capturedPages);
    fill.close();
  }
});

test('every single flipped bit is CORRUPT', () => {
  for (const { index } of [raw, packed]) {
    for (let byte = 0; byte < index.length; byte += byte < 64 ? 1 : 37) {
      const damaged = Buffer.from(index);
      damaged.writeUInt8(damaged.readUInt8(byte) ^ (1 << (byte % 8)), byte);
      expect(codeOf(damaged)).toBe('CORRUPT');
    }
  }
});

test('every truncation is CORRUPT', () => {
  for (const { index } of [raw, packed]) {
    for (let length = 0; length < index.length; length += 61) {
      expect(codeOf(Buffer.from(index.subarray(0, length)))).toBe('CORRUPT');
    }
  }
});

const END = Buffer.concat([Buffer.from('E'), Buffer.alloc(28)]);
const u32 = (value: number) => Buffer.from(Uint32Array.of(value).buffer);
const u64 = (value: bigint) => Buffer.from(BigUint64Array.of(value).buffer);
const SPACE = Buffer.concat([Buffer.from('M'), u32(7)]);
const map = (start: bigint, end: bigint, protection = 3, kind = 0) =>
  Buffer.concat([Buffer.from('V'), u64(start), u64(end), u32(protection), u32(kind)]);
const LAST = Buffer.concat([Buffer.from('C'), u32(0)]);
const chunk = (fields: {
  n?: number;
  dense?: number;
  pack?: number;
  offset?: bigint;
  length?: number;
  runs?: Buffer[];
}) =>
  Buffer.concat([
    Buffer.from('C'),
    u32(fields.n ?? 1),
    u32(fields.dense ?? 1),
    u32(fields.pack ?? 1),
    u64(fields.offset ?? 32n),
    u32(fields.length ?? 65),
    Buffer.alloc(32),
    u32(fields.runs?.length ?? 1),
    ...(fields.runs ?? [Buffer.concat([u64(0x10000n), u32(1)])]),
  ]);
const end = (spaces: number, maps: bigint, chunks: bigint, pages: bigint) =>
  Buffer.concat([Buffer.from('E'), u32(spaces), u64(maps), u64(chunks), u64(pages)]);
const inMap = (record: Buffer) => [SPACE, map(0x10000n, 0x20000n), record, LAST, end(1, 1n, 1n, 1n)];

test.each<[string, string, Buffer[]]>([
  ['an unknown record tag', 'UNKNOWN_FORMAT', [Buffer.from('X'), END]],
  ['an unknown tag in a map', 'UNKNOWN_FORMAT', inMap(Buffer.from('Z'))],
  [
    'an unknown kind of map',
    'UNKNOWN_FORMAT',
    [SPACE, map(0x10000n, 0x20000n, 3, 3), LAST, end(1, 1n, 0n, 0n)],
  ],
  ['an unknown protection', 'UNKNOWN_FORMAT', [SPACE, map(0x10000n, 0x20000n, 8), LAST, end(1, 1n, 0n, 0n)]],
  ['an unknown chunk flag', 'UNKNOWN_FORMAT', inMap(chunk({ dense: 2 }))],
  ['a pid twice', 'CORRUPT', [SPACE, SPACE, end(2, 0n, 0n, 0n)]],
  ['a map that is not aligned', 'CORRUPT', [SPACE, map(0x10001n, 0x20000n), LAST, end(1, 1n, 0n, 0n)]],
  ['an empty map', 'CORRUPT', [SPACE, map(0x10000n, 0x10000n), LAST, end(1, 1n, 0n, 0n)]],
  [
    'a map beyond user space',
    'CORRUPT',
    [SPACE, map(0x10000n, 0xfffffffffffff000n), LAST, end(1, 1n, 0n, 0n)],
  ],
  [
    'overlapping maps',
    'CORRUPT',
    [SPACE, map(0x10000n, 0x20000n), LAST, map(0x1f000n, 0x30000n), LAST, end(1, 2n, 0n, 0n)],
  ],
  ['a page outside its map', 'CORRUPT', inMap(chunk({ runs: [Buffer.concat([u64(0x20000n), u32(1)])] }))],
  [
    'a run over the end of its map',
    'CORRUPT',
    inMap(chunk({ n: 2, runs: [Buffer.concat([u64(0x1f000n), u32(2)])] })),
  ],
  ['a run of no pages', 'CORRUPT', inMap(chunk({ runs: [Buffer.concat([u64(0x10000n), u32(0)])] }))],
  ['runs that are more than n', 'CORRUPT', inMap(chunk({ runs: [Buffer.concat([u64(0x10000n), u32(5)])] }))],
  ['a monstrous n', 'CORRUPT', inMap(chunk({ n: 0xffffffff }))],
  ['pack 0', 'CORRUPT', inMap(chunk({ pack: 0 }))],
  ['an offset in the pack header', 'CORRUPT', inMap(chunk({ offset: 0n }))],
  ['a monstrous offset', 'CORRUPT', inMap(chunk({ offset: 0xffffffffffffffffn }))],
  ['a blob without contents', 'CORRUPT', inMap(chunk({ length: 64 }))],
  [
    'counts that do not match',
    'CORRUPT',
    [SPACE, map(0x10000n, 0x20000n), chunk({}), LAST, end(1, 1n, 1n, 2n)],
  ],
  ['something after the end', 'CORRUPT', [end(0, 0n, 0n, 0n), Buffer.from('M')]],
  ['no end', 'CORRUPT', [SPACE]],
  ['nothing', 'CORRUPT', []],
])('%s is %s', (_, code, records) => {
  expect(codeOf(sealIndex(Buffer.concat(records)))).toBe(code);
});

test('unknown versions, codecs and flags of the envelope are UNKNOWN_FORMAT', () => {
  const body = indexBody(raw.index);
  expect(codeOf(sealIndex(body, { version: 2 }))).toBe('UNKNOWN_FORMAT');
  expect(codeOf(sealIndex(body, { codec: 2 }))).toBe('UNKNOWN_FORMAT');
  expect(codeOf(sealIndex(body, { flags: 1 }))).toBe('UNKNOWN_FORMAT');
});

test('a length that is not the body’s is CORRUPT', () => {
  const body = indexBody(raw.index);
  for (const length of [0, body.length - 1, body.length + 1, 2 ** 30, 2 ** 52]) {
    expect(codeOf(sealIndex(body, { length }))).toBe('CORRUPT');
  }
  const compressed = Buffer.from(packed.index.subarray(24, -32));
  for (const length of [0, body.length - 1, body.length * 2, 2 ** 30, 2 ** 52]) {
    expect(codeOf(sealIndex(compressed, { codec: 1, length }))).toBe('CORRUPT');
  }
});

/** Small, seeded and good enough (mulberry32). */
function randomOf(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) % below;
  };
}

const EXTREMES = [
  0n,
  1n,
  0xffn,
  0x7fffffffn,
  0xffffffffn,
  0x100000000n,
  0x7fffffffffffffffn,
  0xffffffffffffffffn,
];

function mutate(body: Buffer, random: (below: number) => number): Buffer {
  let mutated = Buffer.from(body);
  for (let count = 1 + random(4); count > 0; count--) {
    const at = random(mutated.length);
    const kind = random(5);
    if (kind === 0) mutated.writeUInt8(random(256), at);
    else if (kind === 1) mutated.writeUInt8(mutated.readUInt8(at) ^ (1 << random(8)), at);
    else if (kind === 2)
      mutated.set(
        u64(EXTREMES[random(EXTREMES.length)] ?? 0n).subarray(0, Math.min(8, mutated.length - at)),
        at,
      );
    else if (kind === 3)
      mutated = Buffer.concat([mutated.subarray(0, at), mutated.subarray(at + random(40))]);
    else mutated = Buffer.concat([mutated.subarray(0, at), mutated.subarray(random(mutated.length))]);
    if (mutated.length === 0) return Buffer.from('E');
  }
  return mutated;
}

test.each(['raw', 'compressed'])(
  '4000 mutations of a sealed %s index: accepted or refused, no crash, no memory',
  (kind) => {
    const seed = Number(process.env.HOLDFAST_TEST_SEED ?? Date.now() % 2 ** 31);
    const random = randomOf(seed);
    const body = kind === 'raw' ? indexBody(raw.index) : Buffer.from(packed.index.subarray(24, -32));
    const length = indexBody(raw.index).length;
    const before = process.memoryUsage().rss;
    const seen = new Map<string, number>();
    for (let round = 0; round < 4000; round++) {
      const mutated = mutate(body, random);
      const index = kind === 'raw' ? sealIndex(mutated) : sealIndex(mutated, { codec: 1, length });
      let outcome = 'accepted';
      try {
        startFill(index, targets, { threads: 1 }).close();
      } catch (error) {
        outcome = (error as { code: string }).code;
      }
      seen.set(outcome, (seen.get(outcome) ?? 0) + 1);
      // NOT_FOUND: the mutation was in the pid, and is a valid index of another process.
      if (!['accepted', 'CORRUPT', 'UNKNOWN_FORMAT', 'NOT_FOUND'].includes(outcome)) {
        throw new Error(`round ${round} of HOLDFAST_TEST_SEED=${seed} gave ${outcome}`);
      }
    }
    expect(seen.get('CORRUPT')).toBeGreaterThan(100);
    expect(process.memoryUsage().rss - before).toBeLessThan(128 * 2 ** 20);
  },
);
