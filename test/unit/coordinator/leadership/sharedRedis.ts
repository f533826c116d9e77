/** The commands of Redis that the coordinator uses, with its scripts, in memory and shared by several processes. */
import type { Redis } from 'ioredis';
import { KEYS } from '../../../../coordinator/state/keys';
import { Process, type World } from './world';

type Value = string | Map<string, string> | string[];

export class SharedRedis {
  readonly #values = new Map<string, Value>();
  readonly #endsMs = new Map<string, number>();
  /** Who got the newest term. */
  newestTaker: Process | undefined;
  /** Writes that were refused for their term. */
  refused = 0;
  /** Told of each write: its words, and which process asked. */
  onWrite: (words: readonly string[], process: Process | undefined) => void = () => {};
  /** A mutation to test the test with: nothing is refused. */
  isFenceless = false;

  constructor(private readonly world: World) {}

  #get<T extends Value>(key: string): T | undefined {
    const endMs = this.#endsMs.get(key);
    if (endMs !== undefined && endMs <= this.world.nowMs) {
      this.#values.delete(key);
      this.#endsMs.delete(key);
    }
    return this.#values.get(key) as T | undefined;
  }

  hash(key: string): Map<string, string> {
    const known = this.#get<Map<string, string>>(key) ?? new Map<string, string>();
    this.#values.set(key, known);
    return known;
  }

  text(key: string): string | null {
    return this.#get<string>(key) ?? null;
  }

  #set(key: string, value: string, ms: number | null): void {
    this.#values.set(key, value);
    if (ms === null) this.#endsMs.delete(key);
    else this.#endsMs.set(key, this.world.nowMs + ms);
  }

  #write([name = '', key = '', ...rest]: readonly string[]): unknown {
    switch (name) {
      case 'set': {
        if (rest.includes('NX') && this.#get(key) !== undefined) return null;
        const seconds = rest[rest.indexOf('EX') + 1];
        const ms = rest[rest.indexOf('PX') + 1];
        const isTimed = rest.includes('EX')
          ? Number(seconds) * 1000
          : rest.includes('PX')
            ? Number(ms)
            : null;
        this.#set(key, rest[0] ?? '', isTimed);
        return 'OK';
      }
      case 'incr': {
        const next = Number(this.text(key) ?? 0) + 1;
        this.#values.set(key, String(next));
        return next;
      }
      case 'hset':
        for (let at = 0; at < rest.length; at += 2) this.hash(key).set(rest[at] ?? '', rest[at + 1] ?? '');
        return rest.length / 2;
      case 'hdel':
        return rest.filter((field) => this.hash(key).delete(field)).length;
      case 'xadd':
      case 'rpush':
      case 'ltrim':
      case 'expire':
        return 1;
      default:
        throw new Error(`the double has no ${name}`);
    }
  }

  client(): Redis {
    const commands = {
      get: async (key: string) => this.text(key),
      pttl: async (key: string) => (this.#endsMs.get(key) ?? this.world.nowMs - 1) - this.world.nowMs,
      exists: async (key: string) => (this.#get(key) === undefined ? 0 : 1),
      hget: async (key: string, field: string) => this.hash(key).get(field) ?? null,
      hgetall: async (key: string) => Object.fromEntries(this.hash(key)),
      hmget: async (key: string, ...fields: string[]) =>
        fields.map((field) => this.hash(key).get(field) ?? null),
      hexists: async (key: string, field: string) => (this.hash(key).has(field) ? 1 : 0),
      lrange: async () => [],
      llen: async () => 0,
      holdfastTake: async (leader: string, term: string, owner: string, address: string, ms: number) => {
        if (this.text(leader) !== null) return [0, ''];
        const last = Number(/^\d+/.exec(this.text(term) ?? '0')?.[0]);
        const next = Math.max(last + 1, Math.floor(this.world.nowMs / 1000));
        const token = `${next} ${owner}`;
        this.#set(term, token, null);
        this.#set(leader, address, ms);
        this.newestTaker = Process.current;
        return [next, token];
      },
      holdfastRenew: async (leader: string, term: string, token: string, address: string, ms: number) => {
        if (this.text(term) !== token) return 0;
        this.#set(leader, address, ms);
        return 1;
      },
      holdfastRelease: async (leader: string, term: string, token: string) => {
        if (this.text(term) === token) this.#values.delete(leader);
      },
      holdfastFenced: async (keys: number, ...words: string[]) => {
        const token = words[keys] ?? '';
        if (this.text(KEYS.term) !== token && !this.isFenceless) {
          this.refused++;
          throw new Error('FENCED');
        }
        const replies: unknown[] = [];
        for (let at = keys + 1; at < words.length; ) {
          const count = Number(words[at]);
          const command = words.slice(at + 1, at + 1 + count).map(String);
          this.onWrite(command, Process.current);
          replies.push(this.#write(command));
          at += count + 1;
        }
        return replies;
      },
    };
    return commands as unknown as Redis;
  }
}
