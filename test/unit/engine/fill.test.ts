/** What a fill does with damaged or unknown packs, with wrong targets, and when it is closed. */
import { spawn } from 'node:child_process';
import { closeSync, openSync, readSync } from 'node:fs';
import { type Fill, type FillTarget, startFill } from '../../../native';
import { type Captured, captureAll } from './capture-all';
import { failureOf, thrownBy } from './failures';
import { type Chunk, indexBody, readMaps, resealBlob, sealIndex, sha256 } from './format';
import { buildVictim, untilState, type Victim } from './victim';

const PAGE = 4096;
const ANONYMOUS = 0x100000000000n;

const program = buildVictim();
afterAll(() => program.remove());

let raw: Captured;
let packed: Captured;
let twin: Victim;
const fills: Fill[] = [];
let onTestEnd = () => true;

beforeAll(async () => {
  const victim = await program.start();
  await victim.ask('fill', 'filled');
  await victim.stop();
  const processes = [{ pid: victim.pid, imagePid: 7 }];
  raw = await captureAll(processes, { compressionLevel: 0 });
  packed = await captureAll(processes, { compressionLevel: 1 });
  victim.kill();
});

beforeEach(async () => {
  twin = await program.start();
  await twin.stop();
});

afterEach(async () => {
  onTestEnd();
  for (const fill of fills.splice(0)) fill.close();
  await twin.ended();
});

function open(index: Buffer, targets: FillTarget[] = [{ imagePid: 7, pid: twin.pid }]): Fill {
  const fill = startFill(index, targets, { threads: 2 });
  fills.push(fill);
  return fill;
}

function memoryOf(pid: number, address: bigint, length: number): Buffer {
  const bytes = Buffer.alloc(length);
  const fd = openSync(`/proc/${pid}/mem`, 'r');
  readSync(fd, bytes, 0, length, address);
  closeSync(fd);
  return bytes;
}

function chunksAt(index: Buffer, start: bigint): Chunk[] {
  const chunks = readMaps(indexBody(index)).find((map) => map.start === start)?.chunks;
  if (!chunks) throw new Error('no such map');
  return chunks;
}

function pack(captured: Captured, number: number): Buffer {
  const body = captured.packs.get(number);
  if (!body) throw new Error(`no pack ${number}`);
  return Buffer.from(body);
}

function nth<T>(list: readonly T[], index: number): T {
  const item = list[index];
  if (item === undefined) throw new Error(`nothing at ${index}`);
  return item;
}

/** Changes fields of the pack's header and makes its check right again. */
function resealPack(body: Buffer, change: (header: Buffer) => void): Buffer {
  change(body);
  sha256(body.subarray(0, 24)).copy(body, 24, 0, 8);
  return body;
}

describe('a damaged blob', () => {
  const damages: [string, string, (body: Buffer, at: number) => void][] = [
    [
      'a flipped bit in the contents',
      'CORRUPT',
      (body, at) => body.writeUInt8(body.readUInt8(at + 500) ^ 4, at + 500),
    ],
    ['a flipped bit in the magic', 'CORRUPT', (body, at) => body.writeUInt8(body.readUInt8(at) ^ 4, at)],
    [
      'a flipped bit in the version',
      'CORRUPT',
      (body, at) => body.writeUInt8(body.readUInt8(at + 4) ^ 4, at + 4),
    ],
    ['version 2', 'UNKNOWN_FORMAT', (body, at) => resealBlob(body, at, (h) => h.writeUInt16LE(2, 4))],
    ['codec 4', 'UNKNOWN_FORMAT', (body, at) => resealBlob(body, at, (h) => h.writeUInt16LE(4, 6))],
    ['a flag', 'UNKNOWN_FORMAT', (body, at) => resealBlob(body, at, (h) => h.writeUInt32LE(2, 8))],
    ['another page size', 'CORRUPT', (body, at) => resealBlob(body, at, (h) => h.writeUInt32LE(8192, 12))],
    ['another page count', 'CORRUPT', (body, at) => resealBlob(body, at, (h) => h.writeUInt32LE(3, 16))],
    [
      'a monstrous page count',
      'CORRUPT',
      (body, at) => resealBlob(body, at, (h) => h.writeUInt32LE(0xffffffff, 16)),
    ],
    ['another stored length', 'CORRUPT', (body, at) => resealBlob(body, at, (h) => h.writeUInt32LE(100, 20))],
    ['zstd named for raw bytes', 'CORRUPT', (body, at) => resealBlob(body, at, (h) => h.writeUInt16LE(1, 6))],
    [
      'other contents of the right shape',
      'CORRUPT',
      (body, at) => {
        body.fill(1, at + 64, at + 128);
        resealBlob(body, at, (h) => sha256(body.subarray(at + 64, at + 64 + h.readUInt32LE(20))).copy(h, 24));
      },
    ],
  ];

  test.each(damages)('with %s is %s, and not a page of it is written', async (_, code, damage) => {
    const chunk = nth(chunksAt(raw.index, ANONYMOUS), 1);
    const body = pack(raw, chunk.pack);
    damage(body, chunk.offset);
    const fill = open(raw.index);
    const failure = await failureOf(fill.writePack(chunk.pack, body));
    expect(failure.code).toBe(code);
    expect(failure.message).toContain(`blob at ${chunk.offset} of pack ${chunk.pack}`);
    for (const run of chunk.runs) {
      expect(memoryOf(twin.pid, run.address, run.pages * PAGE).every((byte) => byte === 0)).toBe(true);
    }
    // The same pack, undamaged, can be written after it.
    await fill.writePack(chunk.pack, pack(raw, chunk.pack));
    const [first] = chunk.runs;
    expect(first && memoryOf(twin.pid, first.address, PAGE)).toEqual(
      pack(raw, chunk.pack).subarray(chunk.offset + 64, chunk.offset + 64 + PAGE),
    );
  });

  test('with a flipped bit in compressed contents is CORRUPT', async () => {
    const body = pack(packed, 1);
    expect(body.readUInt16LE(32 + 6)).toBe(1);
    const stored = body.readUInt32LE(32 + 20);
    for (const at of [0, 5, stored >> 1, stored - 1]) {
      const damaged = Buffer.from(body);
      damaged.writeUInt8(damaged.readUInt8(32 + 64 + at) ^ 1, 32 + 64 + at);
      expect((await failureOf(open(packed.index).writePack(1, damaged))).code).toBe('CORRUPT');
    }
  });
});

test.each(['sha256', 'xxh3'] as const)('a pack is verified as a whole by its %s', async (kind) => {
  const fill = open(packed.index);
  const checksum = packed[kind].get(1) ?? '';
  const damaged = pack(packed, 1);
  damaged.writeUInt8(damaged.readUInt8(damaged.length - 1) ^ 1, damaged.length - 1);
  const failure = await failureOf(fill.writePack(1, damaged, checksum));
  expect(failure.code).toBe('CORRUPT');
  expect(failure.message).toMatch(
    new RegExp(`its ${kind === 'xxh3' ? 'XXH3' : 'SHA-256'} is not the recorded one`),
  );
  expect(fill.writtenPages()).toBe(0);
  await fill.writePack(1, pack(packed, 1), checksum);
  expect(fill.writtenPages()).toBeGreaterThan(0);
});

test('a checksum of another length is refused', async () => {
  const failure = await failureOf(open(packed.index).writePack(1, pack(packed, 1), 'abcd'));
  expect(failure.code).toBe('INVALID_ARGUMENT');
});

test.each([
  ['truncated', 'CORRUPT', (body: Buffer) => body.subarray(0, body.length - 1)],
  ['empty', 'CORRUPT', () => Buffer.alloc(0)],
  ['of another kind', 'CORRUPT', (body: Buffer) => body.fill('HFXX', 0, 4)],
  ['with a flipped bit in its header', 'CORRUPT', (body: Buffer) => body.fill(9, 9, 10)],
  ['of version 2', 'UNKNOWN_FORMAT', (body: Buffer) => resealPack(body, (h) => h.writeUInt16LE(2, 4))],
  ['with a flag', 'UNKNOWN_FORMAT', (body: Buffer) => resealPack(body, (h) => h.writeUInt16LE(1, 6))],
  [
    'that ends before its blobs, whatever its header says',
    'CORRUPT',
    (body: Buffer) => resealPack(body, (h) => h.writeBigUInt64LE(1000n, 16)).subarray(0, 1000),
  ],
])('a pack %s is %s', async (_, code, damage) => {
  const fill = open(packed.index);
  const failure = await failureOf(fill.writePack(1, damage(pack(packed, 1))));
  expect(failure.code).toBe(code);
  expect(failure.message).toContain('pack 1');
  expect(fill.writtenPages()).toBe(0);
});

test('a part of an older blob is written by slot numbers', async () => {
  const [chunk] = chunksAt(raw.index, ANONYMOUS);
  if (!chunk) throw new Error('no chunk');
  const record = (bytes: (number | bigint | Buffer)[][]) => Buffer.concat(bytes.flat() as Buffer[]);
  const u8 = (text: string) => Buffer.from(text, 'latin1');
  const u32 = (value: number) => Buffer.from(Uint32Array.of(value).buffer);
  const u64 = (value: bigint | number) => Buffer.from(BigUint64Array.of(BigInt(value)).buffer);
  const body = record([
    [u8('M'), u32(7)],
    [u8('V'), u64(ANONYMOUS), u64(ANONYMOUS + 2000n * 4096n), u32(3), u32(0)],
    [u8('C'), u32(3), u32(0), u32(chunk.pack), u64(chunk.offset), u32(chunk.length), chunk.sha256, u32(2)],
    [u64(ANONYMOUS + 4096n), u32(2), u32(10)],
    [u64(ANONYMOUS + 9n * 4096n), u32(1), u32(0)],
    [u8('C'), u32(0)],
    [u8('E'), u32(1), u64(1), u64(1), u64(3)],
  ]);
  const fill = open(sealIndex(body));
  expect(fill.packNumbers()).toEqual([chunk.pack]);
  await fill.writePack(chunk.pack, pack(raw, chunk.pack));
  expect(fill.writtenPages()).toBe(3);
  const blob = pack(raw, chunk.pack).subarray(chunk.offset + 64, chunk.offset + chunk.length);
  const page = (slot: number) => blob.subarray(slot * PAGE, (slot + 1) * PAGE);
  const memory = memoryOf(twin.pid, ANONYMOUS, 11 * PAGE);
  const zero = Buffer.alloc(PAGE);
  const expected = [zero, page(10), page(11), zero, zero, zero, zero, zero, zero, page(0), zero];
  expect(memory.equals(Buffer.concat(expected))).toBe(true);
});

test('a process of the index without a target is NOT_FOUND', () => {
  expect(thrownBy(() => open(raw.index, []))).toMatchObject({
    code: 'NOT_FOUND',
    message: 'process 7 of the page index has no restored process',
  });
});

test('a target that does not exist is NOT_FOUND', () => {
  expect(thrownBy(() => open(raw.index, [{ imagePid: 7, pid: 4_194_303 }]))).toMatchObject({
    code: 'NOT_FOUND',
    message: 'process 4194303 does not exist',
  });
});

test('a target with another layout is WRONG_STATE naming pid and address', async () => {
  const stranger = spawn('sleep', ['1000'], { stdio: 'ignore', env: {} });
  onTestEnd = () => stranger.kill('SIGKILL');
  if (!stranger.pid) throw new Error('cannot start sleep');
  const chunk = nth(chunksAt(raw.index, ANONYMOUS), 0);
  const fill = open(raw.index, [{ imagePid: 7, pid: stranger.pid }]);
  const failure = await failureOf(fill.writePack(chunk.pack, pack(raw, chunk.pack)));
  expect(failure.code).toBe('WRONG_STATE');
  expect(failure.message).toMatch(new RegExp(`page 0x[0-9a-f]+ of process ${stranger.pid} cannot be filled`));
});

test('a target that ended is WRONG_STATE', async () => {
  const fill = open(raw.index);
  twin.kill();
  await untilState(twin.pid, 'Z').catch(() => undefined);
  const failure = await failureOf(fill.writePack(1, pack(raw, 1)));
  expect(failure).toMatchObject({
    code: 'WRONG_STATE',
    message: expect.stringContaining(`process ${twin.pid}`),
  });
});

test('a pack the index does not name, and one in work, are refused', async () => {
  const fill = open(raw.index);
  expect(await failureOf(fill.writePack(4711, pack(raw, 1)))).toMatchObject({ code: 'INVALID_ARGUMENT' });
  // The engine may be faster than we are, but not every time.
  const body = pack(raw, 1);
  const codes = new Set<string>();
  while (!codes.has('WRONG_STATE')) {
    const first = fill.writePack(1, body);
    codes.add(await fill.writePack(1, body).catch((error) => error.code));
    await first;
  }
  expect(codes).not.toContain('INTERNAL');
});

test('a pack written twice counts once', async () => {
  const fill = open(raw.index);
  await fill.writePack(1, pack(raw, 1));
  const pages = fill.writtenPages();
  await fill.writePack(1, pack(raw, 1));
  expect(fill.writtenPages()).toBe(pages);
});

test('close() in the middle settles every pack and writes nothing after it', async () => {
  const fill = open(raw.index);
  const outcomes = Promise.all(
    [...raw.packs].map(([number, body]) =>
      fill.writePack(number, body).then(
        () => 'written',
        (error) => error.code,
      ),
    ),
  );
  fill.close();
  fill.close();
  const before = memoryOf(twin.pid, ANONYMOUS, 2000 * PAGE);
  expect(new Set([...(await outcomes), 'written', 'ABORTED'])).toEqual(new Set(['written', 'ABORTED']));
  expect(memoryOf(twin.pid, ANONYMOUS, 2000 * PAGE).equals(before)).toBe(true);
  expect(await failureOf(fill.writePack(1, pack(raw, 1)))).toMatchObject({
    code: 'WRONG_STATE',
    message: 'the fill is closed',
  });
  expect(thrownBy(() => fill.packNumbers())).toMatchObject({ code: 'WRONG_STATE' });
});
