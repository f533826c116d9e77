/** A file of lines that nobody waits for: what cannot be written is told and counted. */
import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { HoldfastError } from '../../core/errors';

/** What a disk that hangs may leave in memory. */
const MAX_WAITING = 10_000;
const FLAGS = constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | constants.O_NOFOLLOW;
const MODE = 0o600;

export class LineFile {
  #waiting: string[] = [];
  #file: FileHandle | null;
  #working: Promise<void> | null = null;
  #isTorn = false;
  #mustReopen = false;

  private constructor(
    private readonly path: string,
    file: FileHandle,
    private readonly onLost: (lines: number, error: unknown) => void,
  ) {
    this.#file = file;
  }

  /**
   * @param onLost how many lines did not get into the file, and why
   * @throws HoldfastError WRONG_STATE
   */
  static async open(path: string, onLost: (lines: number, error: unknown) => void): Promise<LineFile> {
    try {
      return new LineFile(path, await open(path, FLAGS, MODE), onLost);
    } catch (cause) {
      const reason = (cause as NodeJS.ErrnoException).code ?? String(cause);
      const remedy = 'make its directory, or name another file';
      throw new HoldfastError('WRONG_STATE', `cannot write to ${path}: ${reason}`, remedy, { cause });
    }
  }

  /** @param line without its end */
  add(line: string): void {
    if (this.#waiting.length < MAX_WAITING) this.#waiting.push(`${line}\n`);
    else this.onLost(1, new HoldfastError('LIMIT_EXCEEDED', `${this.path} is written too slowly`));
    this.#work();
  }

  /** Lines from now on go to what has the name then: the old file was moved away. */
  reopen(): void {
    this.#mustReopen = true;
    this.#work();
  }

  /** Resolves when everything is written, or lost. */
  async close(): Promise<void> {
    while (this.#working !== null) await this.#working;
    await this.#file?.close();
    this.#file = null;
  }

  #work(): void {
    this.#working ??= this.#drain().finally(() => {
      this.#working = null;
      if (this.#waiting.length > 0 || this.#mustReopen) this.#work();
    });
  }

  async #drain(): Promise<void> {
    const lines = this.#waiting;
    this.#waiting = [];
    try {
      if (this.#mustReopen) {
        this.#mustReopen = false;
        await this.#file?.close();
        this.#file = null;
      }
      this.#file ??= await open(this.path, FLAGS, MODE);
      if (lines.length === 0) return;
      // After a write that ended early the next line begins on a line of its own.
      await this.#file.appendFile(`${this.#isTorn ? '\n' : ''}${lines.join('')}`);
      this.#isTorn = false;
    } catch (thrown) {
      this.#isTorn = true;
      this.onLost(lines.length, thrown);
    }
  }
}
