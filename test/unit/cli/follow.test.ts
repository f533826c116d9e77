import { appendFileSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type FollowEvent, follow } from '../../../cli/run/follow';
import { defaultOutputName, prepareOutput } from '../../../cli/run/output-file';

let directory: string;
let path: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'holdfast-follow-'));
  path = join(directory, 'out');
});
afterEach(() => rmSync(directory, { recursive: true }));

async function next(events: AsyncGenerator<FollowEvent>): Promise<FollowEvent> {
  const { value } = await events.next();
  if (value === undefined) throw new Error('the follower ended');
  return value;
}

const textOf = (event: FollowEvent) => (event.kind === 'data' ? event.bytes.toString() : event.kind);

test('waits for a file, yields what is added, and ends only when everything was read', async () => {
  const ended = new AbortController();
  const events = follow(path, 0, ended.signal);
  const first = next(events);
  writeFileSync(path, 'one\n');
  expect(textOf(await first)).toBe('one\n');
  appendFileSync(path, 'two\n');
  expect(textOf(await next(events))).toBe('two\n');
  // Written before the end but not read yet: it must not be lost.
  appendFileSync(path, 'three\n');
  ended.abort();
  expect(textOf(await next(events))).toBe('three\n');
  expect((await events.next()).done).toBe(true);
});

test('starts where the job begins in a file that held something before', async () => {
  writeFileSync(path, 'old\nnew\n');
  const ended = new AbortController();
  const events = follow(path, 4, ended.signal);
  expect(await next(events)).toEqual({ kind: 'data', offset: 4, bytes: Buffer.from('new\n') });
});

test('tells of a roll-back and goes on from there', async () => {
  writeFileSync(path, 'aaaabbbb');
  const ended = new AbortController();
  const events = follow(path, 0, ended.signal);
  expect(textOf(await next(events))).toBe('aaaabbbb');
  truncateSync(path, 4);
  expect(await next(events)).toEqual({ kind: 'rolledBack', fromBytes: 8, toBytes: 4 });
  appendFileSync(path, 'cc');
  expect(await next(events)).toEqual({ kind: 'data', offset: 4, bytes: Buffer.from('cc') });
});

test('a large file arrives whole and in order', async () => {
  const content = Buffer.alloc(300_000, 'abcdefg');
  writeFileSync(path, content);
  const ended = new AbortController();
  ended.abort();
  const parts: Buffer[] = [];
  for await (const event of follow(path, 0, ended.signal)) if (event.kind === 'data') parts.push(event.bytes);
  expect(Buffer.concat(parts).equals(content)).toBe(true);
});

test('an end without any file is an end', async () => {
  const ended = new AbortController();
  ended.abort();
  expect((await follow(path, 0, ended.signal).next()).done).toBe(true);
});

test('an output file is made, or continued where it ends', async () => {
  expect(await prepareOutput('new.out', directory)).toEqual({
    path: join(directory, 'new.out'),
    startBytes: 0,
  });
  writeFileSync(path, '12345');
  expect(await prepareOutput(path, '/')).toEqual({ path, startBytes: 5 });
});

test.each(['.', '/dev/null', 'missing/out'])('an output that is no file is refused: %s', async (name) => {
  await expect(prepareOutput(name, directory)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
});

test('default names are readable, safe and differ by time and process', () => {
  const now = new Date('2026-11-23T16:30:01.500Z');
  expect(defaultOutputName('my sim/../x', now, 47)).toBe('holdfast-my_sim_.._x-20261123T163001-47.out');
  expect(defaultOutputName('', now, 47)).toBe('holdfast-job-20261123T163001-47.out');
});
