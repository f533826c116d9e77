/** Exactly as many bytes as asked for, out of chunks of any size. Holds one chunk besides what was asked for. */
import { corrupt } from './framing';

export class ByteReader {
  readonly #chunks: AsyncIterator<Uint8Array>;
  #rest: Uint8Array = Buffer.alloc(0);
  totalBytes = 0;

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#chunks = source[Symbol.asyncIterator]();
  }

  /** @throws HoldfastError CORRUPT when the stream ends before */
  async read(lengthBytes: number): Promise<Buffer> {
    // Not from a pool: large buffers go back to the system when they are done with.
    const bytes = Buffer.allocUnsafeSlow(lengthBytes);
    for (let filled = 0; filled < lengthBytes; ) {
      if (this.#rest.length === 0 && !(await this.#more())) {
        throw corrupt(`is truncated: it ends after ${this.totalBytes + filled} bytes`);
      }
      const taken = this.#rest.subarray(0, lengthBytes - filled);
      bytes.set(taken, filled);
      filled += taken.length;
      this.#rest = this.#rest.subarray(taken.length);
    }
    this.totalBytes += lengthBytes;
    return bytes;
  }

  /** @throws HoldfastError CORRUPT unless the stream ends here */
  async end(): Promise<void> {
    if (this.#rest.length > 0 || (await this.#more())) {
      throw corrupt(`goes on after its end, byte ${this.totalBytes}`);
    }
  }

  /** false at the end of the source. */
  async #more(): Promise<boolean> {
    for (;;) {
      const { done, value } = await this.#chunks.next();
      if (done === true) return false;
      if (value.length === 0) continue;
      this.#rest = value;
      return true;
    }
  }
}
