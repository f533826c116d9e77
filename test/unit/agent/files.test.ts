/** What travels with a checkpoint, on real directories; what is recorded of files that stay. */
import {
  chownSync,
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { rmdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { directoryTree, LocalFiles } from '../../../agent/files/selection';
import { freeTailPath, recordSharedFiles, requireSamePath } from '../../../agent/files/shared';
import { descriptors } from '../../../agent/proc/descriptors';

const USER = 12345;
let root: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'holdfast-files-'));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

function place(path: string, uid = USER): string {
  const whole = join(root, path);
  writeFileSync(whole, 'content');
  chownSync(whole, uid, uid);
  return whole;
}

function folder(path: string, uid = USER): string {
  const whole = join(root, path);
  mkdirSync(whole);
  chownSync(whole, uid, uid);
  return whole;
}

const uses = (environments: string[]) => ({ descriptors: [], maps: [], environments, cwds: [] });

test('a session directory travels whole, but only what the user owns', async () => {
  const session = folder('session');
  const mine = place('session/mine');
  place('session/others', 0);
  symlinkSync('/etc', join(session, 'link'));
  const selected = await new LocalFiles(USER, [root]).select(uses([session]));
  expect(selected).toEqual([session, mine]);
});

test('a directory of somebody else, or outside the local roots, is not a session directory', async () => {
  const foreign = folder('foreign', 0);
  place('foreign/file');
  expect(await new LocalFiles(USER, [root]).select(uses([foreign, '/usr']))).toEqual([]);
});

test('a directory with too much in it is not walked to its end', async () => {
  folder('many');
  for (let i = 0; i < 20; i++) place(`many/${i}`);
  const limits = { bytes: 1 << 20, entries: 10 };
  expect(await directoryTree(join(root, 'many'), USER, limits)).toBeNull();
  expect(await directoryTree(join(root, 'many'), USER, { ...limits, entries: 100 })).toHaveLength(21);
  expect(await directoryTree(join(root, 'many'), USER, { bytes: 4096, entries: 100 })).toBeNull();
});

test('a directory that is removed while it is looked at is left out', async () => {
  const limits = { bytes: 1 << 20, entries: 10 };
  for (let i = 0; i < 200; i++) {
    const gone = folder('gone');
    const [found] = await Promise.all([directoryTree(gone, USER, limits), rmdir(gone)]);
    expect([[], [gone]]).toContainEqual(found);
  }
});

test('a directory that was too large while the job ran stays, and is not walked again', async () => {
  const large = folder('large');
  for (let i = 0; i < 20; i++) place(`large/${i}`);
  const files = new LocalFiles(USER, [root], { bytes: 1 << 20, entries: 10 });
  await files.survey(uses([large]));
  for (let i = 0; i < 15; i++) rmSync(join(large, String(i)));
  expect(await files.select(uses([large]))).toEqual([large]);
  expect(await new LocalFiles(USER, [root]).select(uses([large]))).toHaveLength(6);
});

test('a log that is also read is still append-only', () => {
  const path = place('log');
  const opened = [openSync(path, 'r'), openSync(path, 'a'), openSync(path, 'r')];
  const [file] = recordSharedFiles(
    descriptors(process.pid).filter(({ fd }) => opened.includes(fd)),
    [],
  );
  for (const fd of opened) closeSync(fd);
  expect(file).toMatchObject({ path, writable: true, appendOnly: true, sizeBytes: 7 });
});

test('a path that has become a symbolic link is refused', () => {
  const path = place('file');
  requireSamePath(path);
  rmSync(path);
  symlinkSync('/etc/hostname', path);
  expect(() => requireSamePath(path)).toThrow(/symbolic link/);
});

test('a tail never replaces an older one', () => {
  const path = place('out');
  const first = freeTailPath(path, 3);
  writeFileSync(first, '');
  expect(freeTailPath(path, 3)).not.toBe(first);
});
