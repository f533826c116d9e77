/** A second reader of docs/format.md, written against the document and not against the engine. */
import { createHash } from 'node:crypto';

export function sha256(bytes: Buffer): Buffer {
  return createHash('sha256').update(bytes).digest();
}

const ENVELOPE_BYTES = 24;
const TRAILER_BYTES = 32;
const BLOB_HEADER_BYTES = 64;

export interface Run {
  address: bigint;
  pages: number;
  slot: number;
}

export interface Chunk {
  imagePid: number;
  pages: number;
  dense: boolean;
  pack: number;
  offset: number;
  length: number;
  sha256: Buffer;
  runs: Run[];
}

export interface MemoryMap {
  imagePid: number;
  start: bigint;
  end: bigint;
  protection: number;
  kind: number;
  chunks: Chunk[];
}

/** Body of an index that was written without compression. */
export function indexBody(index: Buffer): Buffer {
  if (index.readUInt16LE(6) !== 0) throw new Error('the index is compressed');
  return Buffer.from(index.subarray(ENVELOPE_BYTES, -TRAILER_BYTES));
}

/** An index with a correct trailer around any body and fields. */
export function sealIndex(
  body: Buffer,
  fields: Partial<Record<'version' | 'codec' | 'flags' | 'length', number>> = {},
): Buffer {
  const envelope = Buffer.alloc(ENVELOPE_BYTES);
  envelope.write('HFIX', 'latin1');
  envelope.writeUInt16LE(fields.version ?? 1, 4);
  envelope.writeUInt16LE(fields.codec ?? 0, 6);
  envelope.writeUInt32LE(fields.flags ?? 0, 8);
  envelope.writeUInt32LE(4096, 12);
  envelope.writeBigUInt64LE(BigInt(fields.length ?? body.length), 16);
  const sealed = Buffer.concat([envelope, body]);
  return Buffer.concat([sealed, sha256(sealed)]);
}

/** Changes fields of a blob's header and makes its check right again. */
export function resealBlob(pack: Buffer, offset: number, change: (header: Buffer) => void): void {
  const header = pack.subarray(offset, offset + BLOB_HEADER_BYTES);
  change(header);
  sha256(header.subarray(0, 56)).copy(header, 56, 0, 8);
}

/** Contents of a blob that was written without compression. */
export function rawBlob(blob: Buffer): Buffer {
  if (blob.readUInt16LE(6) !== 0) throw new Error('the blob is compressed');
  return blob.subarray(BLOB_HEADER_BYTES);
}

class Cursor {
  #at = 0;
  constructor(readonly bytes: Buffer) {}
  take(count: number): Buffer {
    const taken = this.bytes.subarray(this.#at, this.#at + count);
    if (taken.length < count) throw new Error('the index ended early');
    this.#at += count;
    return taken;
  }
  u8 = () => this.take(1).readUInt8();
  u32 = () => this.take(4).readUInt32LE();
  u64 = () => this.take(8).readBigUInt64LE();
  get atEnd(): boolean {
    return this.#at === this.bytes.length;
  }
}

function readRuns(body: Cursor, dense: boolean): Run[] {
  const runs: Run[] = [];
  let slot = 0;
  for (let left = body.u32(); left > 0; left--) {
    const run = { address: body.u64(), pages: body.u32(), slot };
    if (!dense) run.slot = body.u32();
    runs.push(run);
    slot += run.pages;
  }
  return runs;
}

function readChunk(body: Cursor, imagePid: number): Chunk | null {
  if (body.u8() !== 0x43) throw new Error('not a chunk');
  const pages = body.u32();
  if (pages === 0) return null;
  const dense = body.u32() === 1;
  const chunk = { imagePid, pages, dense, pack: body.u32(), offset: Number(body.u64()), length: body.u32() };
  return { ...chunk, sha256: body.take(32), runs: readRuns(body, dense) };
}

/** All memory maps of an index body, in order. */
export function readMaps(bytes: Buffer): MemoryMap[] {
  const body = new Cursor(bytes);
  const maps: MemoryMap[] = [];
  let imagePid = 0;
  for (;;) {
    const tag = String.fromCharCode(body.u8());
    if (tag === 'M') {
      imagePid = body.u32();
    } else if (tag === 'V') {
      const map: MemoryMap = {
        imagePid,
        start: body.u64(),
        end: body.u64(),
        protection: body.u32(),
        kind: body.u32(),
        chunks: [],
      };
      for (let chunk = readChunk(body, imagePid); chunk; chunk = readChunk(body, imagePid))
        map.chunks.push(chunk);
      maps.push(map);
    } else {
      if (tag !== 'E') throw new Error(`tag ${tag}`);
      body.take(4 + 8 + 8 + 8);
      if (!body.atEnd) throw new Error('something follows the end');
      return maps;
    }
  }
}
