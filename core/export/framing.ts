/** The frame of an exported generation: preamble and section headers (docs/format.md, "Export as one stream"). Pure. */
import { createHash } from 'node:crypto';
import { HoldfastError } from '../errors';

const MAGIC = 'HFXP';
const VERSION = 1;

export const PREAMBLE_BYTES = 16;
export const SECTION_HEADER_BYTES = 32;
/** SHA-256 of the payload, behind it. */
export const DIGEST_BYTES = 32;
const CHECK_BYTES = 8;

const MIB = 2 ** 20;
const KIB = 2 ** 10;

/** Every section there is, with its largest payload: nothing larger is allocated for one. */
export const PAYLOAD_LIMIT_BYTES = {
  /** The manifest's header. */
  HEAD: 64 * MIB,
  /** What is global in the job. */
  CONT: 64 * MIB,
  /** Nodes and their trees. */
  TREE: 64 * MIB,
  /** Who vouches for the three before. */
  SEAL: 4 * KIB,
  /** Which object follows. */
  OREF: 4 * KIB,
  /** Its bytes. */
  DATA: 64 * MIB,
  /** What was counted: nothing follows. */
  TAIL: 4 * KIB,
} as const;

export type SectionTag = keyof typeof PAYLOAD_LIMIT_BYTES;

export interface SectionHeader {
  readonly tag: SectionTag;
  /** From 0, so that a section that is missing or there twice is noticed. */
  readonly number: number;
  readonly payloadBytes: number;
}

export function corrupt(problem: string): HoldfastError {
  return new HoldfastError(
    'CORRUPT',
    `the exported stream ${problem}`,
    'export the checkpoint again, and compare checksums after copying it',
  );
}

function unknown(problem: string): HoldfastError {
  return new HoldfastError(
    'UNKNOWN_FORMAT',
    `the exported stream ${problem}`,
    'import it with the release of Holdfast that exported it, or a newer one',
  );
}

function withCheck(bytes: Buffer): Buffer {
  const end = bytes.length - CHECK_BYTES;
  createHash('sha256').update(bytes.subarray(0, end)).digest().copy(bytes, end, 0, CHECK_BYTES);
  return bytes;
}

function hasCheck(bytes: Buffer): boolean {
  return withCheck(Buffer.from(bytes)).equals(bytes);
}

export function encodePreamble(): Buffer {
  const bytes = Buffer.alloc(PREAMBLE_BYTES);
  bytes.write(MAGIC, 0, 'latin1');
  bytes.writeUInt16LE(VERSION, 4);
  return withCheck(bytes);
}

/** @throws HoldfastError CORRUPT, UNKNOWN_FORMAT */
export function checkPreamble(bytes: Buffer): void {
  if (bytes.toString('latin1', 0, 4) !== MAGIC) throw corrupt('does not begin like an export');
  if (!hasCheck(bytes)) throw corrupt('has a damaged beginning');
  const version = bytes.readUInt16LE(4);
  const flags = bytes.readUInt16LE(6);
  if (version !== VERSION || flags !== 0) throw unknown(`is of version ${version}, flags ${flags}`);
}

export function encodeSectionHeader({ tag, number, payloadBytes }: SectionHeader): Buffer {
  const bytes = Buffer.alloc(SECTION_HEADER_BYTES);
  bytes.write(tag, 0, 'latin1');
  bytes.writeBigUInt64LE(BigInt(number), 8);
  bytes.writeBigUInt64LE(BigInt(payloadBytes), 16);
  return withCheck(bytes);
}

/**
 * The header of the section that must come next.
 * @throws HoldfastError CORRUPT, UNKNOWN_FORMAT
 */
export function decodeSectionHeader(bytes: Buffer, tag: SectionTag, number: number): SectionHeader {
  const where = `section ${number}`;
  if (!hasCheck(bytes)) throw corrupt(`has a damaged header of ${where}`);
  const found = bytes.toString('latin1', 0, 4);
  const flags = bytes.readUInt32LE(4);
  if (!Object.hasOwn(PAYLOAD_LIMIT_BYTES, found)) {
    throw unknown(`has ${where} of the unknown kind ${JSON.stringify(found)}`);
  }
  if (flags !== 0) throw unknown(`has ${where} with unknown flags ${flags}`);
  const foundNumber = bytes.readBigUInt64LE(8);
  if (found !== tag || foundNumber !== BigInt(number)) {
    throw corrupt(`has ${found} ${foundNumber} where ${tag} ${number} belongs`);
  }
  const payloadBytes = bytes.readBigUInt64LE(16);
  if (payloadBytes > BigInt(PAYLOAD_LIMIT_BYTES[tag])) {
    throw corrupt(`has ${payloadBytes} bytes in ${where} (${tag})`);
  }
  return { tag, number, payloadBytes: Number(payloadBytes) };
}

/** Header, payload and digest. */
export function sectionBytes(payloadBytes: number): number {
  return SECTION_HEADER_BYTES + payloadBytes + DIGEST_BYTES;
}
