/**
 * CRIU's protobuf image files: two magic words, then entries of a little-endian 32-bit length and a message
 * (CRIU wiki, "Images"). Only what has to be changed, or has to stay free, is looked at.
 */
import { HoldfastError } from '../../core/errors';
import { FileEntry, PstreeEntry } from '../../proto/gen/criu/images';

const COMMON_MAGIC = 0x54564319;
const MAGICS = {
  'files.img': 0x56303138,
  'fdinfo.img': 0x56213732,
  'pstree.img': 0x50273030,
  'tty-info.img': 0x59453036,
} as const;
const HEADER_BYTES = 8;
const AF_INET = 2;
const AF_INET6 = 10;
/** Third word of ::ffff:a.b.c.d as CRIU stores it. */
const MAPPED_WORD = 0xffff0000;

export function readEntries(image: Buffer, name: keyof typeof MAGICS = 'files.img'): Buffer[] {
  if (
    image.length < HEADER_BYTES ||
    image.readUInt32LE(0) !== COMMON_MAGIC ||
    image.readUInt32LE(4) !== MAGICS[name]
  ) {
    throw new HoldfastError(
      'UNKNOWN_FORMAT',
      `${name} has an unknown magic`,
      'restart with the CRIU version that wrote it',
    );
  }
  const entries: Buffer[] = [];
  for (let offset = HEADER_BYTES; offset < image.length; ) {
    const end =
      offset + 4 + (offset + 4 <= image.length ? image.readUInt32LE(offset) : Number.POSITIVE_INFINITY);
    if (end > image.length) throw new HoldfastError('CORRUPT', `${name} is cut off at byte ${offset}`);
    entries.push(image.subarray(offset + 4, end));
    offset = end;
  }
  return entries;
}

export function writeEntries(image: Buffer, entries: readonly Uint8Array[]): Buffer {
  const parts: Uint8Array[] = [image.subarray(0, HEADER_BYTES)];
  for (const entry of entries) {
    const length = Buffer.alloc(4);
    length.writeUInt32LE(entry.length);
    parts.push(length, entry);
  }
  return Buffer.concat(parts);
}

/** An IPv4 address as the word CRIU stores: network byte order read as little endian. */
export function addressWord(address: string): number {
  const parts = address.split('.').map(Number);
  if (parts.length !== 4 || parts.some((part) => !(part >= 0 && part <= 255))) {
    throw new HoldfastError('INVALID_ARGUMENT', `not an IPv4 address: ${address}`);
  }
  return Buffer.from(parts).readUInt32LE(0);
}

/** Recorded IPv4 address -> address now, both in text form. */
export type AddressMap = ReadonlyMap<string, string>;

function translateWords(words: number[], family: number, map: ReadonlyMap<number, number>): number[] {
  const [first = 0, , third, fourth = 0] = words;
  if (family === AF_INET && words.length === 1) return [map.get(first) ?? first];
  if (family === AF_INET6 && words.length === 4 && third === MAPPED_WORD) {
    return [...words.slice(0, 3), map.get(fourth) ?? fourth];
  }
  return words;
}

export interface ImageChanges {
  readonly addresses: AddressMap;
  /** Path of a file on shared storage -> its size after the roll-back: CRIU refuses any other. */
  readonly fileSizes: ReadonlyMap<string, number>;
}

/** files.img with socket addresses and file sizes replaced, the rest untouched. */
export function rewriteFiles(image: Buffer, changes: ImageChanges): Buffer {
  const map = new Map([...changes.addresses].map(([from, to]) => [addressWord(from), addressWord(to)]));
  const entries = readEntries(image).map((bytes): Uint8Array => {
    const entry = FileEntry.decode(bytes);
    if (entry.isk) {
      entry.isk.srcAddr = translateWords(entry.isk.srcAddr, entry.isk.family, map);
      entry.isk.dstAddr = translateWords(entry.isk.dstAddr, entry.isk.family, map);
      return FileEntry.encode(entry).finish();
    }
    // Without a size CRIU does not check it: a file that was opened for appending only.
    if (!entry.reg?.size) return bytes;
    const size = changes.fileSizes.get(`/${entry.reg.name.replace(/^\/+/, '')}`);
    if (size === undefined) return bytes;
    entry.reg.size = size;
    return FileEntry.encode(entry).finish();
  });
  return writeEntries(image, entries);
}

/** The ids of all processes, threads, groups and sessions of pstree.img: a restore needs each of them free. */
export function idsOfTree(image: Buffer): number[] {
  const ids = readEntries(image, 'pstree.img').flatMap((bytes) => {
    const { pid, pgid, sid, threads } = PstreeEntry.decode(bytes);
    return [pid, pgid, sid, ...threads];
  });
  return [...new Set(ids)].filter((id) => id > 0);
}
