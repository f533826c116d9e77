/** Node-local files as archives, with the real tar: what is said when they cannot be put back. */
import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { firstComplaints, packLocalFiles, unpackLocalFiles } from '../../../agent/files/archive';

const USER = { uid: 12345, gid: 12345, groups: [] };
let root: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'holdfast-archive-'));
  chmodSync(root, 0o755);
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

test('what stands in the way is named, however much cannot be put back because of it', async () => {
  const session = join(root, 'session');
  const files = Array.from({ length: 20 }, (_, i) => join(session, `segment-with-a-long-name-${i}`));
  mkdirSync(session);
  for (const path of files) writeFileSync(path, 'content');
  for (const path of [session, ...files]) chownSync(path, USER.uid, USER.gid);
  const archive = join(root, 'archive');
  await packLocalFiles(archive, USER, [session, ...files]);
  rmSync(session, { recursive: true });
  writeFileSync(session, 'of somebody else');
  const unpacked = unpackLocalFiles(archive, USER, [root], () => {});
  await expect(unpacked).rejects.toThrow(new RegExp(`uid 12345 failed \\(2\\): tar: ${session.slice(1)}`));
});

test('tar that hangs is given up at its limit, or with what it is for', async () => {
  writeFileSync(join(root, 'tar'), '#!/bin/sh\nexec sleep 60\n', { mode: 0o755 });
  const { PATH } = process.env;
  process.env.PATH = `${root}:${PATH}`;
  const pack = (signal?: AbortSignal, silenceMs?: number) =>
    packLocalFiles(join(root, 'archive'), USER, [join(root, 'tar')], signal, silenceMs);
  try {
    await expect(pack(undefined, 50)).rejects.toMatchObject({ code: 'TIMEOUT' });
    await expect(pack(AbortSignal.timeout(50))).rejects.toMatchObject({ name: 'AbortError' });
  } finally {
    process.env.PATH = PATH;
  }
});

test('the first complaints, and how many follow', () => {
  expect(firstComplaints('one\n')).toBe('one');
  expect(firstComplaints('1\n2\n3\n4\n5\n')).toBe('1; 2; 3; and 2 more lines');
});
