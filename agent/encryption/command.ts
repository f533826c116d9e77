/**
 * Keys from a program of the site: `PROGRAM newest USER` and `PROGRAM find TENANT/NAME` print one line, the key's id and its 64
 * hexadecimal digits. Nothing that it prints gets into an error or a log.
 */
import { execFile } from 'node:child_process';
import { keyUnavailable, parseTenantKey } from '../../core/encryption/keys';
import { HoldfastError } from '../../core/errors';
import { toolEnvironment } from '../run';
import type { KeySource, TenantKey } from './source';

const TIMEOUT_MS = 30_000;

export class KeyCommand implements KeySource {
  constructor(
    private readonly program: string,
    private readonly timeoutMs = TIMEOUT_MS,
  ) {}

  newest(user: string): Promise<TenantKey> {
    return this.ask('newest', user, (problem) => {
      const message = `${this.program} has no encryption key for user ${user}: ${problem}`;
      return new HoldfastError('KEY_UNAVAILABLE', message, 'run it by hand on this node, as root');
    });
  }

  async find(id: string): Promise<TenantKey> {
    const fail = (problem: string) => keyUnavailable(id, `${this.program}: ${problem}`);
    const found = await this.ask('find', id, fail);
    if (found.id !== id) throw fail('it answered with another id');
    return found;
  }

  private ask(verb: string, subject: string, fail: (problem: string) => HoldfastError): Promise<TenantKey> {
    const options = { env: toolEnvironment(), timeout: this.timeoutMs, maxBuffer: 4096 };
    return new Promise((resolve, reject) => {
      execFile(this.program, [verb, subject], options, (error, stdout) => {
        if (error) return reject(fail(describe(error)));
        const [id, key, ...rest] = stdout.trim().split(/\s+/);
        if (id === undefined || key === undefined || rest.length > 0) {
          return reject(fail('it printed something else than an id and a key'));
        }
        try {
          resolve({ id, key: parseTenantKey(id, key) });
        } catch {
          reject(fail('it printed something else than an id and a key'));
        }
      });
    });
  }
}

/** Without what was printed: execFile's own message quotes that. */
function describe(error: {
  code?: string | number | null;
  killed?: boolean;
  signal?: string | null;
}): string {
  if (error.killed) return 'it took too long or printed too much';
  if (typeof error.code === 'string') return `it cannot be run (${error.code})`;
  return error.code ? `it exited with ${error.code}` : `it was ended by ${error.signal}`;
}
