import { type StdioOptions, spawn } from 'node:child_process';
import { chmod, mkdtemp, readdir, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { DirectoryStore } from '../../store/directory/driver';
import { storeSuite } from './store.suite';

describe('the directory store', () => {
  let root = '';
  let store = new DirectoryStore('/nonexistent');

  beforeAll(async () => {
    root = await mkdtemp(join(tmpdir(), 'holdfast-directory-'));
    store = new DirectoryStore(join(root, 'a', 'store'));
    await store.open();
  });
  afterAll(() => rm(root, { recursive: true }));

  storeSuite('directory', () => store, 1500);

  test('no file that is being written stays behind', async () => {
    expect(await readdir(join(root, 'a', 'store', 'incoming'))).toEqual([]);
  });

  test('files of dead writers are removed at open(), those of living ones are not', async () => {
    const incoming = join(root, 'a', 'store', 'incoming');
    await writeFile(join(incoming, 'old'), 'unfinished');
    await writeFile(join(incoming, 'new'), 'being written');
    const dayBefore = Date.now() / 1000 - 25 * 3600;
    await utimes(join(incoming, 'old'), dayBefore, dayBefore);
    await store.open();
    expect(await readdir(incoming)).toEqual(['new']);
    await rm(join(incoming, 'new'));
  });

  test('killed at any moment, a writer leaves whole objects only, and all that it was told are stored', async () => {
    const path = join(root, 'killed');
    const program = `
      const { DirectoryStore } = require('./store/directory/driver.ts');
      const store = new DirectoryStore(${JSON.stringify(path)});
      const write = async (writer) => {
        for (let number = 0; ; number += 1) {
          const key = writer + '/' + number;
          await (number % 2 ? store.put(key, Buffer.alloc(200000, key)) : store.putIfAbsent(key, Buffer.alloc(200000, key)));
          process.stdout.write(key + '\\n');
        }
      };
      store.open().then(() => ['a', 'b', 'c'].map(write));`;
    const checkout = join(__dirname, '..', '..');
    const hook = join(checkout, 'test', 'typescript.cjs');
    const stdio: StdioOptions = ['ignore', 'pipe', 'inherit'];
    const writer = spawn('node', ['--require', hook, '-e', program], { cwd: checkout, stdio });
    const acknowledged: string[] = [];
    for await (const key of createInterface(writer.stdout as Readable)) {
      if (acknowledged.push(key) === 60) writer.kill('SIGKILL');
    }
    const survivor = new DirectoryStore(path);
    await survivor.open();
    const found = [];
    for await (const { key } of survivor.list('')) {
      expect((await survivor.get(key)).equals(Buffer.alloc(200_000, key))).toBe(true);
      found.push(key);
    }
    expect(acknowledged.length).toBeGreaterThanOrEqual(60);
    expect(found).toEqual(expect.arrayContaining(acknowledged));
  });

  test('objects are private to the user', async () => {
    await store.put('private/object', Buffer.from('memory of a process'));
    const path = join(root, 'a', 'store', 'objects', 'private', 'object');
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect((await stat(join(path, '..'))).mode & 0o777).toBe(0o700);
  });

  test('a directory that others may write is refused', async () => {
    const open = join(root, 'open');
    await new DirectoryStore(open).open();
    await chmod(join(open, 'objects'), 0o777);
    await expect(new DirectoryStore(open).open()).rejects.toMatchObject({
      code: 'STORE_REFUSED',
      message: expect.stringContaining('is writable by others (mode 0777)'),
    });
  });

  test('a store that is gone, as when it is not mounted, is unavailable and not empty', async () => {
    const gone = new DirectoryStore(join(root, 'not-mounted'));
    const unavailable = { code: 'STORE_UNAVAILABLE' };
    await expect(gone.stat('key')).rejects.toMatchObject(unavailable);
    await expect(gone.get('key')).rejects.toMatchObject(unavailable);
    await expect(gone.delete('key')).rejects.toMatchObject(unavailable);
    await expect(gone.list('')[Symbol.asyncIterator]().next()).rejects.toMatchObject(unavailable);
    await expect(gone.put('key', Buffer.from('x'))).rejects.toMatchObject(unavailable);
    await expect(gone.putIfAbsent('key', Buffer.from('x'))).rejects.toMatchObject(unavailable);
    expect(await readdir(root)).not.toContain('not-mounted');
  });

  test('a path that leads through a file is refused', async () => {
    await writeFile(join(root, 'file'), '');
    for (const path of ['file', 'file/below']) {
      const opening = new DirectoryStore(join(root, path)).open();
      await expect(opening).rejects.toMatchObject({ code: 'STORE_REFUSED' });
    }
  });

  test('a key on or below another object is refused, and reads as missing', async () => {
    await store.put('taken/object', Buffer.from('x'));
    for (const key of ['taken', 'taken/object/below']) {
      await expect(store.put(key, Buffer.from('y'))).rejects.toMatchObject({ code: 'STORE_REFUSED' });
      await expect(store.putIfAbsent(key, Buffer.from('y'))).rejects.toMatchObject({ code: 'STORE_REFUSED' });
      await expect(store.get(key)).rejects.toMatchObject({ code: 'OBJECT_MISSING' });
      expect(await store.stat(key)).toBeNull();
      await store.delete(key);
    }
    expect((await store.get('taken/object')).toString()).toBe('x');
  });
});
