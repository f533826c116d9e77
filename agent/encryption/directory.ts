/**
 * Keys as files DIR/TENANT/NAME of 64 hexadecimal digits. The tenant is the user's name, else `default`. Only root may
 * read any of it. The last name in byte order is the newest key.
 */
import { closeSync, constants, fstatSync, openSync, readdirSync, readFileSync, type Stats } from 'node:fs';
import { join } from 'node:path';
import { isKeyId, keyUnavailable, parseTenantKey } from '../../core/encryption/keys';
import { HoldfastError } from '../../core/errors';
import type { KeySource, TenantKey } from './source';

const DEFAULT_TENANT = 'default';
/** A key file is 65 bytes; nothing larger is read. */
const MAX_FILE_BYTES = 1024;

const codeOf = (error: unknown): string => (error as NodeJS.ErrnoException).code ?? String(error);

export class KeyDirectory implements KeySource {
  /** @throws PERMISSION_DENIED now rather than at the first checkpoint */
  constructor(private readonly path: string) {
    this.names(path);
  }

  async newest(user: string): Promise<TenantKey> {
    for (const tenant of [user, DEFAULT_TENANT]) {
      const name = this.namesOf(tenant).at(-1);
      if (name !== undefined) return this.find(`${tenant}/${name}`);
    }
    throw new HoldfastError(
      'KEY_UNAVAILABLE',
      `user ${user} has no encryption key in ${this.path}, and there is none in ${DEFAULT_TENANT}/`,
      `make one: openssl rand -hex 32 > ${join(this.path, user, 'NAME')}, on every node`,
    );
  }

  async find(id: string): Promise<TenantKey> {
    if (!isKeyId(id)) throw keyUnavailable(JSON.stringify(id), 'it is no key id');
    const [tenant = ''] = id.split('/');
    if (!this.namesOf(tenant).includes(id.slice(tenant.length + 1))) {
      throw keyUnavailable(id, `there is no ${join(this.path, id)}`);
    }
    return { id, key: parseTenantKey(id, this.read(join(this.path, id), constants.O_NOFOLLOW)) };
  }

  /** Key names of a tenant in byte order; none when it has no directory. */
  private namesOf(tenant: string): string[] {
    if (!isKeyId(`${tenant}/x`) || !this.names(this.path).includes(tenant)) return [];
    return this.names(join(this.path, tenant)).filter((name) => isKeyId(`${tenant}/${name}`));
  }

  private names(directory: string): string[] {
    const fd = this.open(directory, constants.O_DIRECTORY);
    try {
      return readdirSync(`/proc/self/fd/${fd}`).sort((a, b) =>
        Buffer.compare(Buffer.from(a), Buffer.from(b)),
      );
    } finally {
      closeSync(fd);
    }
  }

  private read(path: string, flags: number): string {
    const fd = this.open(path, flags);
    try {
      if (fstatSync(fd).size > MAX_FILE_BYTES) return '';
      return readFileSync(fd, 'latin1');
    } finally {
      closeSync(fd);
    }
  }

  /** What others can read is no secret; what others can write is not the site's. */
  private open(path: string, flags: number): number {
    let fd: number;
    try {
      fd = openSync(path, constants.O_RDONLY | flags);
    } catch (cause) {
      throw new HoldfastError(
        'PERMISSION_DENIED',
        `encryption keys: ${path} cannot be opened (${codeOf(cause)})`,
        'name a directory of key files that only root can read',
        { cause },
      );
    }
    const problem = exposure(fstatSync(fd));
    if (problem === null) return fd;
    closeSync(fd);
    throw new HoldfastError(
      'PERMISSION_DENIED',
      `encryption keys: ${path} ${problem}`,
      `chown root ${path}; chmod go= ${path}; then replace the keys that were exposed`,
    );
  }
}

/** Why it is not the agent's own secret, or null. */
function exposure(stat: Stats): string | null {
  if (stat.uid !== process.getuid?.()) return `belongs to uid ${stat.uid}`;
  return (stat.mode & 0o077) === 0 ? null : `has mode ${(stat.mode & 0o777).toString(8)}`;
}
