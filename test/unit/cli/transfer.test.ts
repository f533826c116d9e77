/** export and import on the command line: what goes where, and what a terminal, a full disk or a reader that leaves does. */
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { HoldfastError } from '../../../core/errors';
import { ExportResponse, ImportResponse } from '../../../proto/gen/holdfast/v1/coordinator';
import { useCli } from './support/fixture';
import { JOB_ID, summary } from './support/messages';

const cli = useCli();
const STREAM = randomBytes(3_000_000);

const started = (totalBytes: number): ExportResponse['part'] =>
  ExportResponse.fromPartial({
    part: { $case: 'started', value: { summary, totalBytes, objectCount: 9 } },
  }).part;

function* parts(stream: Buffer, totalBytes = stream.length): Generator<ExportResponse['part']> {
  yield started(totalBytes);
  for (let offset = 0; offset < stream.length; offset += 100_000) {
    yield { $case: 'data', value: stream.subarray(offset, offset + 100_000) };
  }
}

const IMPORTED = ImportResponse.fromPartial({
  ...{ summary: { ...summary, ckptId: 18 }, exportedJob: 'j-0', exportedCkptId: 3 },
  ...{ totalBytes: STREAM.length, objectCount: 9, sealed: true },
});

/** In a shell, where `holdfast` is the command line under test. */
async function shell(script: string) {
  const child = spawn('bash', ['-c', `holdfast() { "$NODE" "$MAIN" "$@"; }; ${script}`], {
    cwd: cli.cwd,
    env: {
      ...{ PATH: process.env.PATH ?? '', NODE: process.execPath, MAIN: cli.main, NO_COLOR: '1' },
      HOLDFAST_SOCKET: cli.coordinator.socketPath,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const code = new Promise<number | null>((resolve) => child.once('close', resolve));
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)]);
  return { code: await code, stdout, stderr };
}

test('export: the stream on stdout and nothing else, the rest on stderr', async () => {
  const asked: number[] = [];
  cli.coordinator.on({
    export: (ckptId) => {
      asked.push(ckptId);
      return parts(STREAM);
    },
  });
  const plain = await shell('holdfast export 17 > file');
  expect(plain).toEqual({
    code: 0,
    stdout: '',
    stderr: 'holdfast: checkpoint 17 exported: 2.9 MiB, 9 objects\n',
  });
  expect(readFileSync(join(cli.cwd, 'file')).equals(STREAM)).toBe(true);
  const json = await shell('holdfast export 17 --json | cat > piped');
  expect(JSON.parse(json.stderr)).toEqual({ checkpoint: summary, totalBytes: STREAM.length, objectCount: 9 });
  expect(readFileSync(join(cli.cwd, 'piped')).equals(STREAM)).toBe(true);
  expect(asked).toEqual([17, 17]);
});

test('export: an error in between, or a stream that ends early, is not exit code 0', async () => {
  cli.coordinator.on({
    *export() {
      yield* parts(STREAM.subarray(0, 500_000), STREAM.length);
      throw new HoldfastError('OBJECT_MISSING', 'a pack is gone', 'restore it');
    },
  });
  expect(await shell('holdfast export 17 > file')).toMatchObject({
    code: 9,
    stderr: 'holdfast: OBJECT_MISSING: a pack is gone\n  remedy: restore it\n',
  });
  cli.coordinator.on({ export: () => parts(STREAM.subarray(0, 500_000), STREAM.length) });
  expect((await shell('holdfast export 17 > file')).code).toBe(70);
});

test('export: a terminal, a full disk, a reader that leaves, and what is no checkpoint', async () => {
  cli.coordinator.on({ export: () => parts(STREAM) });
  const terminal = await shell(`script -qec '"$NODE" "$MAIN" export 17' /dev/null < /dev/null`);
  expect(terminal.code).toBe(2);
  expect(terminal.stdout).toContain('INVALID_ARGUMENT: an export is not written to a terminal');
  expect(cli.coordinator.calls).toEqual([]);
  expect(await shell('holdfast export 17 > /dev/full')).toMatchObject({
    code: 15,
    stderr: expect.stringContaining('LIMIT_EXCEEDED: cannot write to stdout'),
  });
  expect((await shell('set -o pipefail; holdfast export 17 | head -c 10 > /dev/null')).code).toBe(141);
  expect(await shell(`holdfast export ${JOB_ID}`)).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('is not the id of a checkpoint'),
  });
});

test('import: the stream from stdin, the new id on stdout', async () => {
  const taken: Buffer[] = [];
  cli.coordinator.on({
    import: (stream) => {
      taken.push(stream);
      return IMPORTED;
    },
  });
  writeFileSync(join(cli.cwd, 'file'), STREAM);
  const plain = await shell('holdfast import < file');
  expect(plain).toMatchObject({ code: 0, stdout: '18\n' });
  expect(plain.stderr).toContain('it was checkpoint 3 of job j-0');
  const json = await shell('cat file | holdfast import --json');
  expect(json.stderr).toBe('');
  expect(JSON.parse(json.stdout)).toEqual({
    ...{ checkpoint: { ...summary, ckptId: 18 }, exportedJob: 'j-0', exportedCkptId: 3 },
    ...{ totalBytes: STREAM.length, objectCount: 9, sealed: true },
  });
  expect(taken.map((stream) => stream.equals(STREAM))).toEqual([true, true]);
});

test('import: a refusal, and a terminal', async () => {
  cli.coordinator.on({
    import: () => {
      throw new HoldfastError('CORRUPT', 'truncated', 'again');
    },
  });
  expect(await shell('echo abc | holdfast import --json')).toMatchObject({ code: 10, stdout: '' });
  cli.coordinator.on({});
  const terminal = await shell(`script -qec '"$NODE" "$MAIN" import' /dev/null < /dev/null`);
  expect(terminal.code).toBe(2);
  expect(terminal.stdout).toContain('INVALID_ARGUMENT: an import is not read from a terminal');
  expect(cli.coordinator.calls).toEqual([]);
});
