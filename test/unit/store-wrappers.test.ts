import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { withObservers } from '../../store/observed';
import { withConditionalCheck, withPrefix } from '../../store/wrappers';
import { MemoryStore } from '../contract/memoryStore';
import { storeSuite } from '../contract/store.suite';

const prefixed = withPrefix(new MemoryStore(), 'site/a');
storeSuite('memory below a prefix', () => prefixed, 100, 512 - 'site/a/'.length);

test('a prefix keeps stores apart', async () => {
  const memory = new MemoryStore();
  const [a, ab] = [withPrefix(memory, 'a'), withPrefix(memory, 'ab')];
  await a.put('key', Buffer.from('a'));
  await ab.put('key', Buffer.from('ab'));
  expect([...memory.objects.keys()]).toEqual(['a/key', 'ab/key']);
  const listed = [];
  for await (const { key } of a.list('')) listed.push(key);
  expect(listed).toEqual(['key']);
  await expect(a.get('../ab/key')).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
});

const watched = withObservers(new MemoryStore(), [() => () => {}]);
storeSuite('memory, observed', () => watched, 100);

test('observers hear of every request and of its end, also of a failure, which passes on', async () => {
  const heard: string[] = [];
  const store = withObservers(new MemoryStore(), [
    (request, key) => (error, bytes) =>
      heard.push(`${request} ${key}: ${error?.code ?? 'ok'}, ${bytes} bytes`),
  ]);
  await store.put('a', Buffer.from('four'));
  expect(await store.putIfAbsent('a', Buffer.from('more'))).toBe(false);
  await store.get('a', { offset: 1, length: 2 });
  await store.stat('a');
  await store.delete('a');
  await expect(store.get('a')).rejects.toMatchObject({ code: 'OBJECT_MISSING' });
  expect(heard).toEqual([
    'put a: ok, 4 bytes',
    'putIfAbsent a: ok, 0 bytes',
    'get a: ok, 2 bytes',
    'stat a: ok, 0 bytes',
    'delete a: ok, 0 bytes',
    'get a: OBJECT_MISSING, 0 bytes',
  ]);
});

test('an observer that fails changes nothing', async () => {
  const fail = () => {
    throw new Error('an observer failed');
  };
  const store = withObservers(new MemoryStore(), [fail, () => fail]);
  expect(await store.putIfAbsent('a', Buffer.from('body'))).toBe(true);
  expect(String(await store.get('a'))).toBe('body');
  await expect(store.get('b')).rejects.toMatchObject({ code: 'OBJECT_MISSING' });
});

describe('the check for conditional creates', () => {
  test('passes a store that has them, again and again', async () => {
    const memory = new MemoryStore();
    await withConditionalCheck(memory).open();
    await withConditionalCheck(memory).open();
    expect([...memory.objects.keys()]).toEqual(['holdfast-store.json']);
  });

  test('refuses a store that ignores the condition', async () => {
    class Careless extends MemoryStore {
      override async putIfAbsent(key: string, body: Uint8Array): Promise<boolean> {
        await this.put(key, body);
        return true;
      }
    }
    for (const store of [new Careless(), new Careless()]) {
      await expect(withConditionalCheck(store).open()).rejects.toMatchObject({
        code: 'STORE_REFUSED',
        message: expect.stringContaining('If-None-Match'),
      });
    }
  });
});

describe('the fault point store.put', () => {
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-fault-'));
  afterAll(() => rmSync(directory, { recursive: true }));

  function putWith(fault: string | undefined, name: string) {
    const program = `
      const { openStore } = require('./store/open.ts');
      const store = openStore(${JSON.stringify(`file://${join(directory, name)}`)}, {}, { attempts: 1 });
      store.put('key', Buffer.from('x')).then(() => console.log('stored'), (error) => console.log(error.code));`;
    const root = join(__dirname, '..', '..');
    const argv = ['--require', join(root, 'test', 'typescript.cjs'), '-e', program];
    const environment = fault === undefined ? {} : { HOLDFAST_FAULT: fault };
    const { signal, stdout } = spawnSync('node', argv, {
      cwd: root,
      env: { PATH: process.env.PATH, ...environment },
    });
    return { signal, stdout: stdout.toString().trim() };
  }

  test('stops a process before it writes, or fails the write', () => {
    const unopened = { signal: null, stdout: 'STORE_UNAVAILABLE' };
    expect(putWith(undefined, 'none')).toEqual(unopened);
    expect(putWith('store.put', 'kill')).toEqual({ signal: 'SIGKILL', stdout: '' });
    expect(putWith('store.put:error', 'error')).toEqual({ signal: null, stdout: 'INJECTED_FAULT' });
    expect(readdirSync(directory)).toEqual([]);
  });
});
