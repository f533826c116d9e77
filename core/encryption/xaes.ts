/**
 * XAES-256-GCM (C2SP): AES-256-GCM under a key derived from the first half of a 24 byte nonce. Random nonces are long
 * enough for any number of messages under one key.
 */
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';

export const NONCE_BYTES = 24;
export const TAG_BYTES = 16;
const BLOCK_BYTES = 16;
const HALF = NONCE_BYTES / 2;

function encryptBlocks(key: Buffer, blocks: Buffer): Buffer {
  const cipher = createCipheriv('aes-256-ecb', key, null).setAutoPadding(false);
  return Buffer.concat([cipher.update(blocks), cipher.final()]);
}

/** The CMAC subkey of full blocks: the encrypted zero block, doubled in GF(2^128). */
function subkey(key: Buffer): Buffer {
  const block = encryptBlocks(key, Buffer.alloc(BLOCK_BYTES));
  let carry = 0;
  for (let i = BLOCK_BYTES - 1; i >= 0; i--) {
    const doubled = (block.readUInt8(i) << 1) | carry;
    block.writeUInt8(doubled & 0xff, i);
    carry = doubled >> 8;
  }
  block.writeUInt8(block.readUInt8(BLOCK_BYTES - 1) ^ (carry * 0x87), BLOCK_BYTES - 1);
  return block;
}

function messageKey(key: Buffer, nonce: Buffer): Buffer {
  const mask = subkey(key);
  const blocks = [1, 2].map((counter) => {
    const block = Buffer.concat([Buffer.from([0, counter, 0x58, 0]), nonce.subarray(0, HALF)]);
    return block.map((byte, i) => byte ^ mask.readUInt8(i));
  });
  return encryptBlocks(key, Buffer.concat(blocks));
}

/** Ciphertext and tag. A nonce must never be used twice: leave it out, and it is made at random. */
export function encrypt(
  key: Buffer,
  aad: Buffer,
  plain: Uint8Array,
  nonce = randomBytes(NONCE_BYTES),
): { readonly nonce: Buffer; readonly sealed: readonly Buffer[] } {
  const cipher = createCipheriv('aes-256-gcm', messageKey(key, nonce), nonce.subarray(HALF)).setAAD(aad);
  return { nonce, sealed: [cipher.update(plain), cipher.final(), cipher.getAuthTag()] };
}

/** null when it is not what was encrypted under this key, nonce and aad. */
export function decrypt(key: Buffer, aad: Buffer, nonce: Buffer, sealed: Buffer): Buffer | null {
  const options = { authTagLength: TAG_BYTES };
  const decipher = createDecipheriv('aes-256-gcm', messageKey(key, nonce), nonce.subarray(HALF), options);
  decipher.setAAD(aad).setAuthTag(sealed.subarray(-TAG_BYTES));
  const plain = decipher.update(sealed.subarray(0, -TAG_BYTES));
  try {
    decipher.final();
  } catch {
    return null;
  }
  return plain;
}
