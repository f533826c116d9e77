/** The keys that this agent encrypts with and opens what was encrypted. */
import { deriveKeys, type EncryptionKeys, keyUnavailable } from '../../core/encryption/keys';
import { objectsOf } from '../../core/manifest-objects';
import type { TreeImage } from '../../proto/gen/holdfast/v1/manifest';
import { runTool } from '../run';
import type { KeySource } from './source';

/** The ids of all keys that a tree's objects are encrypted with. */
export function keyIdsOf(image: TreeImage): string[] {
  return [...new Set(objectsOf(image).flatMap((object) => object.encryptionKey ?? []))];
}

export class KeyRing {
  /** @param source null: nothing is encrypted, and nothing encrypted can be read */
  constructor(private readonly source: KeySource | null) {}

  /** What a user's checkpoint is encrypted with from now on; null for none. */
  async writing(uid: number): Promise<EncryptionKeys | null> {
    if (!this.source) return null;
    const { id, key } = await this.source.newest(await userName(uid));
    return deriveKeys(id, key);
  }

  /** By id. @throws KEY_UNAVAILABLE naming the first one that is not here */
  async reading(ids: readonly string[]): Promise<ReadonlyMap<string, EncryptionKeys>> {
    const keys = new Map<string, EncryptionKeys>();
    for (const id of ids) {
      if (!this.source) throw keyUnavailable(id, 'the agent was started without encryption keys');
      keys.set(id, deriveKeys(id, (await this.source.find(id)).key));
    }
    return keys;
  }
}

/** As the site's user database has it; the number when it has none. */
async function userName(uid: number): Promise<string> {
  const { code, stdout } = await runTool('getent', ['passwd', String(uid)]);
  const [name = ''] = stdout.split(':');
  return code === 0 && name !== '' ? name : String(uid);
}
