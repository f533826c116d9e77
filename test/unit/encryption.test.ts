/** Keys, sealed objects and sealed blobs: what comes back, and that nothing else does. */
import { createHmac, randomBytes } from 'node:crypto';
import { deriveKeys, parseTenantKey } from '../../core/encryption/keys';
import { OBJECT_SEAL_BYTES, openObject, sealObject } from '../../core/encryption/objects';
import { decrypt, encrypt } from '../../core/encryption/xaes';
import { decodeBlob, encodeChunk } from '../../native';
import { thrownBy } from './engine/failures';
import { resealBlob } from './engine/format';

const keys = deriveKeys('alice/2026-01', Buffer.alloc(32, 1));
const others = deriveKeys('alice/2026-02', Buffer.alloc(32, 2));

const flipped = (bytes: Buffer, bit: number): Buffer => {
  const damaged = Buffer.from(bytes);
  damaged.writeUInt8(damaged.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
  return damaged;
};

describe('XAES-256-GCM', () => {
  const nonce = Buffer.from('ABCDEFGHIJKLMNOPQRSTUVWX');
  const text = Buffer.from('XAES-256-GCM');

  // The specification's two: the first key's subkey is doubled without a carry, the second one's with it.
  test.each([
    [0x01, '', 'ce546ef63c9cc60765923609b33a9a1974e96e52daf2fcf7075e2271'],
    [0x03, 'c2sp.org/XAES-256-GCM', '986ec1832593df5443a179437fd083bf3fdb41abd740a21f71eb769d'],
  ])('the test vectors of its specification (key %d)', (byte, aad, expected) => {
    const key = Buffer.alloc(32, byte);
    const { sealed } = encrypt(key, Buffer.from(aad), text, nonce);
    expect(Buffer.concat(sealed).toString('hex')).toBe(expected);
    expect(decrypt(key, Buffer.from(aad), nonce, Buffer.concat(sealed))).toEqual(text);
  });
});

describe('an encrypted object', () => {
  const name = 'jobs/j1/data/1-1/node1/main/images-00001';
  const contents = Buffer.from('state of a process');
  const sealed = sealObject(keys, name, contents);

  test('comes back', () => {
    expect(sealed.length).toBe(contents.length + OBJECT_SEAL_BYTES);
    expect(openObject(keys, name, sealed)).toEqual(contents);
    expect(openObject(keys, name, sealObject(keys, name, Buffer.alloc(0)))).toHaveLength(0);
    expect(sealed.includes(contents)).toBe(false);
  });

  test('is another one each time', () => {
    expect(sealObject(keys, name, contents).equals(sealed)).toBe(false);
  });

  test('is refused with any bit flipped', () => {
    for (let bit = 0; bit < sealed.length * 8; bit++) {
      const code = thrownBy(() => openObject(keys, name, flipped(sealed, bit))).code;
      expect(['CORRUPT', 'UNKNOWN_FORMAT', 'KEY_UNAVAILABLE']).toContain(code);
    }
  });

  test('is refused at any other length', () => {
    for (const cut of [0, 3, OBJECT_SEAL_BYTES - 1, sealed.length - 1]) {
      expect(thrownBy(() => openObject(keys, name, sealed.subarray(0, cut))).code).toBe('CORRUPT');
    }
    const longer = Buffer.concat([sealed, Buffer.alloc(1)]);
    expect(thrownBy(() => openObject(keys, name, longer)).code).toBe('CORRUPT');
  });

  test('is refused in the place of another object of its tree', () => {
    expect(thrownBy(() => openObject(keys, name.replace(/1$/, '2'), sealed)).code).toBe('CORRUPT');
  });

  test('names the key id when another key lies under it', () => {
    const failure = thrownBy(() => openObject(others, name, sealed));
    expect(failure).toMatchObject({ code: 'KEY_UNAVAILABLE' });
    expect(failure.message).toContain('alice/2026-02');
  });
});

describe('an encrypted blob', () => {
  const raw = Buffer.from(new Float64Array(8192).map((_, i) => (i * 7919) % 1000).buffer);
  const codecs = ['auto', 'zstd', 'lz4', 'shuffle-lz4', 'none'] as const;
  const encode = (codec: (typeof codecs)[number], contents = raw) =>
    encodeChunk(contents, { codec, compressionLevel: 1, keys });

  test.each(codecs)('comes back (%s)', (codec) => {
    const { blob } = encode(codec);
    expect(decodeBlob(blob, [others, keys]).equals(raw)).toBe(true);
    expect(blob.readUInt32LE(8)).toBe(1);
    expect(encode(codec).blob.equals(blob)).toBe(false);
  });

  test('is what the format says: read here without the engine', () => {
    const { blob, address } = encode('none');
    const [header, fingerprint] = [blob.subarray(0, 64), blob.subarray(64, 72)];
    expect(fingerprint).toEqual(keys.fingerprint);
    const aad = Buffer.concat([header, fingerprint]);
    expect(decrypt(keys.seal, aad, blob.subarray(72, 96), blob.subarray(96))?.equals(raw)).toBe(true);
    expect(createHmac('sha256', keys.address).update(raw).digest('hex')).toBe(address);
    expect(header.subarray(24, 56).toString('hex')).toBe(address);
  });

  test('what does not shrink comes back too, and shows nothing', () => {
    const random = randomBytes(1 << 20);
    const { blob } = encode('auto', random);
    expect(decodeBlob(blob, [keys]).equals(random)).toBe(true);
    expect(blob.length).toBe(64 + 48 + random.length);
    expect(blob.includes(random.subarray(0, 16))).toBe(false);
  });

  test('its address says something only to who has the key', () => {
    const { address } = encode('none');
    expect(encode('zstd').address).toBe(address);
    expect(encodeChunk(raw, { codec: 'none', compressionLevel: 1 }).address).not.toBe(address);
    expect(encodeChunk(raw, { codec: 'none', compressionLevel: 1, keys: others }).address).not.toBe(address);
  });

  test('is refused with any bit flipped, also where the header is made to fit', () => {
    const page = encode('zstd', Buffer.alloc(4096, 7)).blob;
    for (let bit = 0; bit < page.length * 8; bit++) {
      const damaged = flipped(page, bit);
      const code = thrownBy(() => decodeBlob(damaged, [keys])).code;
      expect(['CORRUPT', 'UNKNOWN_FORMAT', 'KEY_UNAVAILABLE']).toContain(code);
      if (bit >= 56 * 8) continue;
      resealBlob(damaged, 0, () => {});
      expect(() => decodeBlob(damaged, [keys])).toThrow();
    }
  });

  test('is refused under the header of another one', () => {
    const first = encode('none', raw.subarray(0, 4096)).blob;
    const second = encode('none', raw.subarray(4096, 8192)).blob;
    const moved = Buffer.concat([first.subarray(0, 64), second.subarray(64)]);
    expect(thrownBy(() => decodeBlob(moved, [keys])).code).toBe('CORRUPT');
  });

  test('is refused without its key', () => {
    const { blob } = encode('zstd');
    expect(thrownBy(() => decodeBlob(blob, [others])).code).toBe('KEY_UNAVAILABLE');
    expect(thrownBy(() => decodeBlob(blob)).code).toBe('KEY_UNAVAILABLE');
  });

  test('a key under the fingerprint of another one opens nothing', () => {
    const { blob } = encode('zstd');
    const impostor = { ...others, fingerprint: keys.fingerprint };
    expect(thrownBy(() => decodeBlob(blob, [impostor])).code).toBe('CORRUPT');
  });
});

describe('tenant keys', () => {
  test('everything derived differs, and is the same again', () => {
    const { id, ...derived } = keys;
    const parts = Object.values(derived).map((part) => part.toString('hex'));
    expect(new Set(parts).size).toBe(parts.length);
    expect(deriveKeys(id, Buffer.alloc(32, 1))).toEqual(keys);
  });

  test.each(['', '1234', 'x'.repeat(64), `${'0'.repeat(64)}0`])('%j is none, and is not repeated', (text) => {
    const failure = thrownBy(() => parseTenantKey('alice/k', text));
    expect(failure.code).toBe('INVALID_ARGUMENT');
    if (text !== '') expect(`${failure.message} ${failure.remedy}`).not.toContain(text);
  });

  test.each(['alice', '../x', 'a/../b', 'a/b/c', '/x', 'a/', 'a b/c'])('%j is no key id', (id) => {
    expect(thrownBy(() => parseTenantKey(id, '0'.repeat(64))).code).toBe('INVALID_ARGUMENT');
  });
});
