/** What a batch script's output holds of a job: each byte once, whatever ended the script in between. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readRecord, recordPath, type ScriptOutput, Shower, whatWasShown } from '../../../cli/slurm/shown';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'holdfast-shown-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

/** A script's output in memory. */
class Script implements ScriptOutput {
  bytes = Buffer.alloc(0);
  /** Killed when so much more has been written; a write may be cut. */
  roomBytes = Infinity;

  readonly write = async (bytes: Buffer): Promise<void> => {
    const written = bytes.subarray(0, this.roomBytes);
    this.bytes = Buffer.concat([this.bytes, written]);
    if (written.length < bytes.length) throw new Error('killed');
  };
  sizeBytes = () => this.bytes.length;
  read = (offset: number, bytes: number) => this.bytes.subarray(offset, offset + bytes);
  get text(): string {
    return this.bytes.toString();
  }
}

const output = () => join(directory, 'job.out');
const showerOf = (script: Script): Shower =>
  new Shower(
    recordPath(output()),
    script,
    script.write,
    whatWasShown(readRecord(recordPath(output())), script),
  );
const ALL = Buffer.from('one\ntwo\nthree\nfour\n');

test('an output that is appended to goes on after what it holds, though the job writes it again', async () => {
  const script = new Script();
  await script.write(Buffer.from('hello from the script\n'));
  await showerOf(script).show(0, ALL.subarray(0, 8));
  await script.write(Buffer.from('JOB CANCELLED DUE TO NODE FAILURE\nhello again\n'));
  // Rolled back to 4 bytes by its restart.
  const second = showerOf(script);
  expect(second.position).toBe(8);
  await second.show(4, ALL.subarray(4));
  expect(script.text).toBe(
    'hello from the script\none\ntwo\nJOB CANCELLED DUE TO NODE FAILURE\nhello again\nthree\nfour\n',
  );
});

test('an output that was begun anew gets all of it, also when it is longer than the old one', async () => {
  const script = new Script();
  await showerOf(script).show(0, ALL.subarray(0, 8));
  script.bytes = Buffer.from('this run of the script says more than the last one\n');
  const second = showerOf(script);
  expect(second.position).toBe(0);
  await second.show(0, ALL);
  expect(script.text).toBe(`this run of the script says more than the last one\n${ALL}`);
});

test.each([0, 1, 5, 11])('killed after %d bytes of a write', async (roomBytes) => {
  const script = new Script();
  await showerOf(script).show(0, ALL.subarray(0, 4));
  const killed = showerOf(script);
  script.roomBytes = roomBytes;
  await expect(killed.show(4, ALL.subarray(4))).rejects.toThrow('killed');
  script.roomBytes = Infinity;
  await script.write(Buffer.from('slurmstepd: error\n'));
  const second = showerOf(script);
  // In pieces, as it comes.
  for (const [from, to] of [
    [4, 6],
    [6, 7],
    [7, ALL.length],
  ] as const)
    await second.show(from, ALL.subarray(from, to));
  expect(script.text.replace('slurmstepd: error\n', '')).toBe(ALL.toString());
});

test('a record that cannot be read is none', async () => {
  writeFileSync(recordPath(output()), '{"shownBytes":"x"}');
  const script = new Script();
  await showerOf(script).show(0, ALL);
  expect(script.text).toBe(ALL.toString());
  expect(JSON.parse(readFileSync(recordPath(output()), 'utf8'))).toMatchObject({ shownBytes: ALL.length });
});
