import { addressWord, idsOfTree, readEntries, rewriteFiles } from '../../../agent/criu/images';
import { FileEntry, PstreeEntry } from '../../../proto/gen/criu/images';

const HEADER = Buffer.from('1943565438313056', 'hex');

const image = (...entries: FileEntry[]): Buffer =>
  imageOf(
    HEADER,
    entries.map((entry) => FileEntry.encode(entry).finish()),
  );

function imageOf(header: Buffer, messages: readonly Uint8Array[]): Buffer {
  const parts: Uint8Array[] = [header];
  for (const bytes of messages) {
    const length = Buffer.alloc(4);
    length.writeUInt32LE(bytes.length);
    parts.push(length, bytes);
  }
  return Buffer.concat(parts);
}

const socket = (family: number, source: number[], target: number[]): FileEntry => ({
  type: 2,
  id: 7,
  isk: { id: 7, family, srcAddr: source, dstAddr: target },
});

const words = (text: string): number[] => [addressWord(text)];
const sockets = (bytes: Buffer) => readEntries(bytes).map((entry) => FileEntry.decode(entry).isk);
const changes = (addresses: [string, string][], sizes: [string, number][] = []) => ({
  addresses: new Map(addresses),
  fileSizes: new Map(sizes),
});

test('rewrites both ends of IPv4 and mapped IPv6 sockets, and nothing else', () => {
  const mapped = [0, 0, 0xffff0000, addressWord('10.0.0.2')];
  const before = image(
    socket(2, words('10.0.0.1'), words('10.0.0.2')),
    socket(10, mapped, mapped),
    socket(10, [1, 2, 3, addressWord('10.0.0.2')], [0, 0, 0, 0]),
    socket(2, words('127.0.0.1'), [0]),
  );
  const after = sockets(rewriteFiles(before, changes([['10.0.0.2', '10.0.0.3']])));
  expect(after[0]).toMatchObject({ srcAddr: words('10.0.0.1'), dstAddr: words('10.0.0.3') });
  expect(after[1]?.srcAddr).toEqual([0, 0, 0xffff0000, addressWord('10.0.0.3')]);
  expect(after[2]?.srcAddr).toEqual([1, 2, 3, addressWord('10.0.0.2')]);
  expect(after[3]).toMatchObject({ srcAddr: words('127.0.0.1'), dstAddr: [0] });
});

test('swapped addresses do not run into each other', () => {
  const before = image(socket(2, words('10.0.0.1'), words('10.0.0.2')));
  const swapped = rewriteFiles(
    before,
    changes([
      ['10.0.0.1', '10.0.0.2'],
      ['10.0.0.2', '10.0.0.1'],
    ]),
  );
  expect(sockets(swapped)[0]).toMatchObject({ srcAddr: words('10.0.0.2'), dstAddr: words('10.0.0.1') });
});

test('unknown fields survive and other entries stay byte for byte', () => {
  const pipe = Buffer.from([0x08, 0x03, 0x10, 0x09, 0x2a, 0x02, 0x08, 0x01]); // type, id, field 5
  const length = Buffer.alloc(4);
  length.writeUInt32LE(pipe.length);
  const before = Buffer.concat([HEADER, length, pipe]);
  expect(rewriteFiles(before, changes([['10.0.0.1', '10.0.0.2']]))).toEqual(before);
});

test('a rolled back file gets its size, if CRIU recorded one', () => {
  // As CRIU 4.2 writes it: /home/u/out of 10 bytes.
  const entry = '080110031a210803100218002a0a08001000180020002800320b2f686f6d652f752f6f7574400a';
  const sized = Buffer.from(entry, 'hex');
  const unsized = Buffer.from(entry.slice(0, -4).replace('1a21', '1a1f'), 'hex');
  const after = readEntries(
    rewriteFiles(imageOf(HEADER, [sized, unsized]), changes([], [['/home/u/out', 42]])),
  );
  expect(after.map((bytes) => FileEntry.decode(bytes).reg)).toMatchObject([
    { name: '/home/u/out', size: 42 },
    { name: '/home/u/out', size: 0 },
  ]);
  expect(after[1]).toEqual(unsized);
});

test('a foreign or truncated file is refused', () => {
  expect(() => readEntries(Buffer.from('not an image at all'))).toThrow(/unknown magic/);
  const whole = image(socket(2, words('10.0.0.1'), words('10.0.0.2')));
  for (const cut of [1, 5, 9])
    expect(() => readEntries(whole.subarray(0, whole.length - cut))).toThrow(/cut off/);
});

test('an address must be IPv4', () => {
  for (const text of ['', '10.0.0', '10.0.0.256', 'host']) expect(() => addressWord(text)).toThrow(/IPv4/);
});

test('every id of a tree is known: threads, and groups and sessions whose leaders are gone', () => {
  const tree = [
    { pid: 38, ppid: 0, pgid: 38, sid: 0, threads: [38, 39, 40] },
    { pid: 50, ppid: 38, pgid: 45, sid: 44, threads: [50] },
  ].map((entry) => PstreeEntry.encode(entry).finish());
  const pstree = imageOf(Buffer.from('1943565430302750', 'hex'), tree);
  expect(idsOfTree(pstree)).toEqual([38, 39, 40, 50, 45, 44]);
  expect(() => idsOfTree(image())).toThrow(/pstree.img has an unknown magic/);
});
