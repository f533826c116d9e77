/** Where keys come from: files that only root reads, or a program. */
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { KeyCommand } from '../../../agent/encryption/command';
import { KeyDirectory } from '../../../agent/encryption/directory';
import { KeyRing, keyIdsOf } from '../../../agent/encryption/keyRing';
import { parseAgentOptions } from '../../../agent/options';
import { TreeImage } from '../../../proto/gen/holdfast/v1/manifest';
import { failureOf, thrownBy } from '../engine/failures';

const KEY = '0123456789abcdef'.repeat(4);
const OTHER = 'fedcba9876543210'.repeat(4);
let base: string;
let keys: string;

function put(id: string, text = KEY, mode = 0o600): void {
  mkdirSync(join(keys, id, '..'), { recursive: true, mode: 0o700 });
  writeFileSync(join(keys, id), text, { mode });
}

beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), 'holdfast-keys-'));
  keys = join(base, 'keys');
  mkdirSync(keys, { mode: 0o700 });
});
afterEach(() => rmSync(base, { recursive: true }));

describe('a directory of keys', () => {
  test('the last name writes, every one reads', async () => {
    put('alice/2026-01');
    put('alice/2026-02', `${OTHER}\n`);
    put('alice/.2026-03.tmp');
    const source = new KeyDirectory(keys);
    expect(await source.newest('alice')).toEqual({ id: 'alice/2026-02', key: Buffer.from(OTHER, 'hex') });
    expect(await source.find('alice/2026-01')).toEqual({ id: 'alice/2026-01', key: Buffer.from(KEY, 'hex') });
  });

  test('who has none of his own uses the default one; without that nothing is written', async () => {
    const source = new KeyDirectory(keys);
    const failure = await failureOf(source.newest('bob'));
    expect(failure).toMatchObject({ code: 'KEY_UNAVAILABLE' });
    expect(failure.remedy).toContain('openssl rand');
    put('default/k');
    expect((await source.newest('bob')).id).toBe('default/k');
    // A key added later is seen: rotation needs no restart of the agent.
    put('bob/k');
    expect((await source.newest('bob')).id).toBe('bob/k');
  });

  test.each(['alice/gone', 'nobody/k', '../keys/alice/k', 'alice/../alice/k', '/etc/passwd', 'alice'])(
    'the key %s is named as missing',
    async (id) => {
      put('alice/k');
      const failure = await failureOf(new KeyDirectory(keys).find(id));
      expect(failure).toMatchObject({ code: 'KEY_UNAVAILABLE' });
      expect(failure.message).toContain(id);
    },
  );

  test('a file, or a directory on the way, that others can read is refused', async () => {
    put('alice/k');
    const source = new KeyDirectory(keys);
    for (const [path, mode, mended] of [
      ['alice/k', 0o640, 0o600],
      ['alice', 0o711, 0o700],
      ['', 0o755, 0o700],
    ] as const) {
      chmodSync(join(keys, path), mode);
      const failure = await failureOf(source.newest('alice'));
      expect(failure).toMatchObject({ code: 'PERMISSION_DENIED' });
      expect(failure.message).toContain(`${join(keys, path)} has mode ${mode.toString(8)}`);
      chmodSync(join(keys, path), mended);
    }
    expect((await source.newest('alice')).id).toBe('alice/k');
  });

  test('a directory that others can read is refused at start, and so is none', () => {
    chmodSync(keys, 0o750);
    expect(thrownBy(() => new KeyDirectory(keys)).code).toBe('PERMISSION_DENIED');
    expect(thrownBy(() => new KeyDirectory(join(base, 'none'))).code).toBe('PERMISSION_DENIED');
  });

  test('a link is not followed', async () => {
    put('alice/a');
    symlinkSync('a', join(keys, 'alice', 'b'));
    expect((await failureOf(new KeyDirectory(keys).newest('alice'))).code).toBe('PERMISSION_DENIED');
  });

  test('what is no key is not repeated', async () => {
    put('alice/k', 'secret-but-malformed');
    const failure = await failureOf(new KeyDirectory(keys).newest('alice'));
    expect(failure.code).toBe('INVALID_ARGUMENT');
    expect(failure.message).not.toContain('secret');
  });
});

describe('a program that prints keys', () => {
  const program = (script: string): string => {
    const path = join(base, 'keys.sh');
    writeFileSync(path, `#!/bin/sh\n${script}\n`, { mode: 0o700 });
    return path;
  };

  test('is asked for the newest one of a user, and for one by its id', async () => {
    const source = new KeyCommand(program(`[ $1 = newest ] && echo "$2/k2 ${OTHER}" || echo "$2 ${KEY}"`));
    expect(await source.newest('alice')).toEqual({ id: 'alice/k2', key: Buffer.from(OTHER, 'hex') });
    expect(await source.find('alice/k1')).toEqual({ id: 'alice/k1', key: Buffer.from(KEY, 'hex') });
  });

  test.each([
    ['fails', `echo ${KEY}; exit 3`, 'it exited with 3'],
    ['prints something else', `echo x/y ${KEY} ${KEY}`, 'something else'],
    ['prints a short key', 'echo alice/k1 0123456789abcdef', 'something else'],
    ['answers with another id', `echo bob/k ${KEY}`, 'another id'],
    ['is ended', `echo ${KEY}; kill -9 $$`, 'it was ended by SIGKILL'],
  ])('one that %s is named, without what it printed', async (_, script, problem) => {
    const failure = await failureOf(new KeyCommand(program(script)).find('alice/k1'));
    expect(failure.code).toBe('KEY_UNAVAILABLE');
    expect(failure.message).toContain('alice/k1');
    expect(failure.message).toContain(problem);
    expect(JSON.stringify([failure.message, failure.remedy, String(failure.cause)])).not.toContain(
      '0123456789',
    );
  });

  test('one that hangs is ended', async () => {
    const failure = await failureOf(new KeyCommand(program('exec sleep 1000'), 50).newest('alice'));
    expect(failure.message).toContain('too long');
  });

  test('one that is not there', async () => {
    const failure = await failureOf(new KeyCommand(join(base, 'none')).newest('alice'));
    expect(failure.message).toContain('cannot be run (ENOENT)');
  });

  test('its environment has nothing of the agent', async () => {
    process.env.HOLDFAST_S3_SECRET_KEY = 'for nobody';
    try {
      const source = new KeyCommand(program(`[ -z "$HOLDFAST_S3_SECRET_KEY" ] && echo "a/k ${KEY}"`));
      expect((await source.newest('a')).id).toBe('a/k');
    } finally {
      delete process.env.HOLDFAST_S3_SECRET_KEY;
    }
  });
});

describe('a key ring', () => {
  test('without a source encrypts nothing, and says what an encrypted tree needs', async () => {
    const ring = new KeyRing(null);
    expect(await ring.writing(0)).toBeNull();
    expect((await ring.reading([])).size).toBe(0);
    const failure = await failureOf(ring.reading(['alice/k1']));
    expect(failure).toMatchObject({ code: 'KEY_UNAVAILABLE' });
    expect(failure.message).toContain('alice/k1');
  });

  test('writes with the key of the user, by name', async () => {
    put('root/k');
    put('default/k');
    const ring = new KeyRing(new KeyDirectory(keys));
    expect((await ring.writing(0))?.id).toBe('root/k');
    expect((await ring.writing(4_000_000))?.id).toBe('default/k');
  });

  test('every key that a tree names is asked for, once', () => {
    const object = (encryptionKey?: string) => ({ key: 'k', sizeBytes: 1, sha256: '', encryptionKey });
    const image = TreeImage.fromPartial({
      images: { segments: [object('a/1'), object('a/1')] },
      files: { segments: [object('a/2')] },
      index: object('a/3'),
      packs: [object('a/0'), object('a/1'), object()],
      rootProgram: object('a/4'),
    });
    expect(keyIdsOf(image).sort()).toEqual(['a/0', 'a/1', 'a/2', 'a/3', 'a/4']);
  });
});

test('two sources of keys are refused', () => {
  const both = { encryptionKeys: '/a', encryptionKeyCommand: '/b' };
  const options = { coordinators: ['head:1'], storeUrl: 'x', insecureLoopback: true, ...both };
  expect(thrownBy(() => parseAgentOptions(options)).code).toBe('INVALID_ARGUMENT');
});
