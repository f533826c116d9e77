import { HoldfastError } from '../../core/errors';
import type { ObjectStore } from '../../store/contract';
import { backOffMs, withRetries } from '../../store/retry';
import { MemoryStore } from '../contract/memoryStore';
import { seededRandom } from '../contract/random';

const unavailable = () => new HoldfastError('STORE_UNAVAILABLE', 'the reply was lost');

/** What goes wrong with a call: nothing, before its effect, or after it (a lost reply). */
type Fate = 'well' | 'before' | 'after';

function failing(store: ObjectStore, next: (operation: string) => Fate): ObjectStore {
  const call = async <T>(operation: string, step: () => Promise<T>): Promise<T> => {
    const fate = next(operation);
    if (fate === 'before') throw unavailable();
    const result = await step();
    if (fate === 'after') throw unavailable();
    return result;
  };
  return {
    description: 'failing',
    put: (key, body, options) => call('put', () => store.put(key, body, options)),
    putIfAbsent: (key, body) => call('putIfAbsent', () => store.putIfAbsent(key, body)),
    get: (key, range) => call('get', () => store.get(key, range)),
    stat: (key) => call('stat', () => store.stat(key)),
    delete: (key) => call('delete', () => store.delete(key)),
    open: () => call('open', () => store.open()),
    close: () => store.close(),
    list: async function* (prefix) {
      for await (const info of store.list(prefix)) {
        yield info;
        if (next('list') !== 'well') throw unavailable();
      }
    },
  };
}

/** Fates in order, then nothing goes wrong; also what was called. */
function scripted(fates: readonly Fate[]) {
  const calls: string[] = [];
  const next = (operation: string): Fate => fates[calls.push(operation) - 1] ?? 'well';
  return { calls, next };
}

const sleepless = { sleep: async () => undefined };

describe('retries', () => {
  test('the delay doubles up to its limit, and jitter takes at most half of it', () => {
    const limits = { baseDelayMs: 100, maxDelayMs: 1_000 };
    const attempts = [1, 2, 3, 4, 5, 6];
    const delays = (random: number) => attempts.map((n) => backOffMs(n, { ...limits, random: () => random }));
    expect(delays(0)).toEqual([50, 100, 200, 400, 500, 500]);
    expect(delays(0.999999).map(Math.round)).toEqual([100, 200, 400, 800, 1000, 1000]);
  });

  test('an operation is tried again until it succeeds, with back-off between', async () => {
    const slept: number[] = [];
    const { calls, next } = scripted(['before', 'after', 'before']);
    const store = withRetries(failing(new MemoryStore(), next), {
      baseDelayMs: 10,
      random: () => 0,
      sleep: async (ms) => slept.push(ms),
    });
    await store.put('key', Buffer.from('x'));
    expect(calls).toEqual(['put', 'put', 'put', 'put']);
    expect(slept).toEqual([5, 10, 20]);
  });

  test('the last error stays when the attempts are used up', async () => {
    const { calls, next } = scripted(Array(9).fill('before'));
    const store = withRetries(failing(new MemoryStore(), next), { attempts: 4, ...sleepless });
    await expect(store.get('key')).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
    expect(calls).toHaveLength(4);
  });

  test('what a retry cannot cure is not retried', async () => {
    const { calls, next } = scripted([]);
    const store = withRetries(failing(new MemoryStore(), next), sleepless);
    await expect(store.get('nothing')).rejects.toMatchObject({ code: 'OBJECT_MISSING' });
    expect(calls).toEqual(['get']);
  });

  test('a listing goes on where it broke off', async () => {
    const memory = new MemoryStore();
    const keys = Array.from({ length: 10 }, (_, index) => `key/${index}`);
    for (const key of keys) await memory.put(key, Buffer.from('x'));
    // It breaks off after four keys, after the first one of the second listing, and after nine of the third.
    const brokenAfter = [4, 5, 14];
    let handedOut = 0;
    const next = () => (brokenAfter.includes(++handedOut) ? 'before' : 'well');
    const store = withRetries(failing(memory, next), sleepless);
    const found = [];
    for await (const { key } of store.list('')) found.push(key);
    expect(found).toEqual(keys);
  });
});

describe('a conditional create with lost replies', () => {
  const create = async (fates: Fate[], present?: string) => {
    const memory = new MemoryStore();
    if (present !== undefined) await memory.put('key', Buffer.from(present));
    const { calls, next } = scripted(fates);
    const store = withRetries(failing(memory, next), { attempts: 4, ...sleepless });
    const created = await store
      .putIfAbsent('key', Buffer.from('ours'))
      .catch((error: HoldfastError) => error.code);
    return { created, calls };
  };

  test('it happened: the object is read back and known as ours, not created again', async () => {
    expect(await create(['after'])).toEqual({ created: true, calls: ['putIfAbsent', 'get'] });
  });

  test('it did not happen: after a look it is tried again', async () => {
    expect(await create(['before'])).toEqual({ created: true, calls: ['putIfAbsent', 'get', 'putIfAbsent'] });
  });

  test("somebody else's object is there", async () => {
    expect(await create(['before'], 'theirs')).toEqual({ created: false, calls: ['putIfAbsent', 'get'] });
    expect(await create([], 'theirs')).toEqual({ created: false, calls: ['putIfAbsent'] });
  });

  test('the look fails too: it is repeated before anything is written', async () => {
    expect(await create(['after', 'before', 'before'])).toEqual({
      created: true,
      calls: ['putIfAbsent', 'get', 'get', 'get'],
    });
  });

  test('nothing can be known: the error stays', async () => {
    expect((await create(['after', 'before', 'before', 'before', 'before'])).created).toBe(
      'STORE_UNAVAILABLE',
    );
  });

  const random = seededRandom();
  test(`of many competing callers exactly one wins, whatever is lost (seed ${random.seed})`, async () => {
    for (let round = 0; round < 300; round += 1) {
      const memory = new MemoryStore();
      const fate = (): Fate => (['well', 'well', 'before', 'after'] as const)[random.below(4)] ?? 'well';
      const outcomes = await Promise.all(
        Array.from({ length: 6 }, async (_, caller) => {
          const store = withRetries(failing(memory, fate), {
            attempts: 50,
            sleep: () => new Promise(setImmediate),
          });
          return (await store.putIfAbsent('key', Buffer.from(`caller ${caller}`))) ? caller : null;
        }),
      );
      const winners = outcomes.filter((outcome) => outcome !== null);
      expect(winners).toHaveLength(1);
      expect(memory.objects.get('key')?.body.toString()).toBe(`caller ${winners[0]}`);
    }
  });
});
