/** A tenant's key and what is derived from it (docs/format.md, "Encryption"). Pure. */
import { hkdfSync } from 'node:crypto';
import { HoldfastError } from '../errors';

export const KEY_BYTES = 32;

/** Key ids are TENANT/NAME. They are written into manifests and may be shown to anyone. */
const KEY_ID = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,63}\/[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;

export const isKeyId = (text: string): boolean => KEY_ID.test(text);

export interface EncryptionKeys {
  readonly id: string;
  /** Tells keys apart; stored with everything that is encrypted. */
  readonly fingerprint: Buffer;
  /** Encrypts blobs. */
  readonly seal: Buffer;
  /** Makes the addresses of contents. */
  readonly address: Buffer;
  /** Encrypts whole objects: page index, images, files. */
  readonly object: Buffer;
}

/** One purpose each: what is learnt of one key says nothing about the others, nor about the tenant's. */
export function deriveKeys(id: string, tenantKey: Buffer): EncryptionKeys {
  const derived = (purpose: string, bytes: number): Buffer =>
    Buffer.from(hkdfSync('sha256', tenantKey, Buffer.alloc(0), `holdfast v1 ${purpose}`, bytes));
  return {
    id,
    fingerprint: derived('key fingerprint', 8),
    seal: derived('blob seal', KEY_BYTES),
    address: derived('content address', KEY_BYTES),
    object: derived('object seal', KEY_BYTES),
  };
}

/**
 * @param text 64 hexadecimal digits, as `openssl rand -hex 32` prints them
 * @throws INVALID_ARGUMENT naming the key's id, and nothing of what was read
 */
export function parseTenantKey(id: string, text: string): Buffer {
  const digits = text.trim();
  if (!isKeyId(id) || !/^[0-9a-fA-F]{64}$/.test(digits)) {
    throw new HoldfastError(
      'INVALID_ARGUMENT',
      `encryption key ${JSON.stringify(id.slice(0, 140))} is not a TENANT/NAME with 64 hexadecimal digits`,
      'make a key with `openssl rand -hex 32`',
    );
  }
  return Buffer.from(digits, 'hex');
}

export function keyUnavailable(id: string, cause: string): HoldfastError {
  return new HoldfastError(
    'KEY_UNAVAILABLE',
    `the encryption key ${id} is not on this node: ${cause}`,
    `put the key ${id} back; without it what it encrypted cannot be read`,
  );
}
