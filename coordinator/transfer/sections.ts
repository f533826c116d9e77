/** Sections of an export with their digests: written one after the other, and read back with every check. */
import {
  checkPreamble,
  corrupt,
  DIGEST_BYTES,
  decodeSectionHeader,
  encodePreamble,
  encodeSectionHeader,
  PREAMBLE_BYTES,
  SECTION_HEADER_BYTES,
  type SectionTag,
} from '../../core/export/framing';
import { ByteReader } from '../../core/export/reader';
import { sha256Hex } from '../../store/sha256';

export interface Section {
  readonly payload: Buffer;
  /** SHA-256 of the payload, hex. */
  readonly digest: string;
}

export class SectionWriter {
  #number = 0;

  preamble(): Buffer {
    return encodePreamble();
  }

  /** @param digest of the payload when it is known */
  async section(tag: SectionTag, payload: Buffer, digest?: string): Promise<Buffer[]> {
    const header = encodeSectionHeader({ tag, number: this.#number++, payloadBytes: payload.length });
    return [header, payload, Buffer.from(digest ?? (await sha256Hex(payload)), 'hex')];
  }
}

export class SectionReader {
  readonly #reader: ByteReader;
  #number = 0;

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#reader = new ByteReader(source);
  }

  get totalBytes(): number {
    return this.#reader.totalBytes;
  }

  /** @throws HoldfastError CORRUPT, UNKNOWN_FORMAT */
  async preamble(): Promise<void> {
    checkPreamble(await this.#reader.read(PREAMBLE_BYTES));
  }

  /**
   * The section that must come next, its payload as it was written.
   * @param payloadBytes its length when it is known
   * @throws HoldfastError CORRUPT, UNKNOWN_FORMAT
   */
  async section(tag: SectionTag, payloadBytes?: number): Promise<Section> {
    const number = this.#number++;
    const header = decodeSectionHeader(await this.#reader.read(SECTION_HEADER_BYTES), tag, number);
    if (header.payloadBytes !== (payloadBytes ?? header.payloadBytes)) {
      throw corrupt(`has ${header.payloadBytes} bytes in section ${number}, not ${payloadBytes}`);
    }
    const payload = await this.#reader.read(header.payloadBytes);
    const recorded = (await this.#reader.read(DIGEST_BYTES)).toString('hex');
    const digest = await sha256Hex(payload);
    if (digest !== recorded) throw corrupt(`has a damaged section ${number} (${tag})`);
    return { payload, digest };
  }

  /** @throws HoldfastError CORRUPT unless nothing follows */
  end(): Promise<void> {
    return this.#reader.end();
  }
}
