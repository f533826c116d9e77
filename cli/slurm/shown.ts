/**
 * A job's output goes to a file of its own, and from there to the output of the batch script: each byte once, however often
 * the script is run (T5). Beside the file stands what was shown of it, written before and after every write to stdout.
 */
import {
  closeSync,
  existsSync,
  fstatSync,
  openSync,
  readFileSync,
  readSync,
  renameSync,
  writeFileSync,
} from 'node:fs';
import { z } from 'zod';

const recordSchema = z.object({
  /** Of the job's file. */
  shownBytes: z.number().int().min(0),
  /** Of the script's output right after that. */
  stdoutBytes: z.number().int().min(0),
  /** What was about to be written next. */
  writingBytes: z.number().int().min(0),
  /** The last bytes that were shown, base64: they tell an output that was appended to from a new one. */
  tail: z.string(),
});

export type ShownRecord = z.infer<typeof recordSchema>;

const TAIL_BYTES = 64;

/** Where the script's output goes. */
export interface ScriptOutput {
  /** undefined: no file, so nobody can tell what it holds. */
  sizeBytes(): number | undefined;
  read(offset: number, bytes: number): Buffer;
}

/** @param fd of a file that was opened for writing only: it is read by its name */
export function scriptOutput(fd: number): ScriptOutput {
  const path = `/proc/self/fd/${fd}`;
  return {
    sizeBytes: () => {
      const stat = fstatSync(fd);
      return stat.isFile() ? stat.size : undefined;
    },
    read: (offset, bytes) => {
      const file = openSync(path, 'r');
      try {
        const buffer = Buffer.alloc(bytes);
        return buffer.subarray(0, readSync(file, buffer, 0, bytes, offset));
      } finally {
        closeSync(file);
      }
    },
  };
}

export const recordPath = (outputPath: string): string => `${outputPath}.shown`;

/** null: nothing was shown, or nobody knows. */
export function readRecord(path: string): ShownRecord | null {
  if (!existsSync(path)) return null;
  try {
    return recordSchema.parse(JSON.parse(readFileSync(path, 'utf8')));
  } catch {
    return null;
  }
}

export interface Resumption {
  /** The job's output was shown up to here. */
  readonly shownBytes: number;
  /** What follows in the script's output: the beginning of it may be more of the job's. */
  readonly doubt: Buffer;
}

const NOTHING: Resumption = { shownBytes: 0, doubt: Buffer.alloc(0) };

/** What the script's output holds of the job's now: a requeue may have begun a new one. */
export function whatWasShown(record: ShownRecord | null, output: ScriptOutput): Resumption {
  if (record === null) return NOTHING;
  const sizeBytes = output.sizeBytes();
  const { shownBytes, stdoutBytes, writingBytes } = record;
  // A pipe leads on to an output that Slurm appends to.
  if (sizeBytes === undefined) return { shownBytes, doubt: Buffer.alloc(0) };
  const tail = Buffer.from(record.tail, 'base64');
  if (sizeBytes < stdoutBytes || !output.read(stdoutBytes - tail.length, tail.length).equals(tail))
    return NOTHING;
  return { shownBytes, doubt: output.read(stdoutBytes, Math.min(writingBytes, sizeBytes - stdoutBytes)) };
}

/** Shows what was not shown yet, in the order of the file. */
export class Shower {
  private shownBytes: number;
  private doubt: Buffer;
  private tail: Buffer = Buffer.alloc(0);

  constructor(
    private readonly path: string,
    private readonly output: ScriptOutput,
    private readonly write: (bytes: Buffer) => Promise<void>,
    { shownBytes, doubt }: Resumption = NOTHING,
  ) {
    this.shownBytes = shownBytes;
    this.doubt = doubt;
  }

  /** Where to begin to read. */
  get position(): number {
    return this.shownBytes;
  }

  /** What was shown already is left out: a restarted job writes it again. */
  async show(offset: number, bytes: Buffer): Promise<void> {
    const fresh = bytes.subarray(Math.max(0, this.shownBytes - offset));
    if (fresh.length === 0) return;
    const known = commonLength(fresh, this.doubt);
    this.doubt =
      known === this.doubt.length || known < fresh.length ? Buffer.alloc(0) : this.doubt.subarray(known);
    this.shownBytes += known;
    this.remember(fresh.subarray(0, known));
    const rest = fresh.subarray(known);
    if (rest.length === 0) return;
    this.record(rest.length);
    await this.write(rest);
    this.shownBytes += rest.length;
    this.remember(rest);
    this.record(0);
  }

  private remember(bytes: Buffer): void {
    if (bytes.length > 0) this.tail = Buffer.from(Buffer.concat([this.tail, bytes]).subarray(-TAIL_BYTES));
  }

  private record(writingBytes: number): void {
    const record: ShownRecord = {
      ...{ shownBytes: this.shownBytes, stdoutBytes: this.output.sizeBytes() ?? 0, writingBytes },
      tail: this.tail.toString('base64'),
    };
    writeFileSync(`${this.path}.new`, JSON.stringify(record), { mode: 0o600 });
    renameSync(`${this.path}.new`, this.path);
  }
}

function commonLength(a: Buffer, b: Buffer): number {
  let length = 0;
  while (length < a.length && length < b.length && a[length] === b[length]) length++;
  return length;
}
