/** The few commands of Redis that retention uses, in memory, and a way to die between any two steps. */
import type { Redis } from 'ioredis';

/** The coordinator is gone: whatever it would have done next does not happen. */
export class Crash extends Error {}

export class MemoryRedis {
  readonly #hashes = new Map<string, Map<string, string>>();

  clear(): void {
    this.#hashes.clear();
  }

  client(): Redis {
    const hash = (key: string) => {
      const known = this.#hashes.get(key) ?? new Map<string, string>();
      this.#hashes.set(key, known);
      return known;
    };
    const commands = {
      hgetall: async (key: string) => Object.fromEntries(hash(key)),
      hget: async (key: string, field: string) => hash(key).get(field) ?? null,
      hmget: async (key: string, ...fields: string[]) => fields.map((field) => hash(key).get(field) ?? null),
      hset: async (key: string, ...fields: [string, string] | [Record<string, string>]) => {
        const entries =
          typeof fields[0] === 'string' ? [[fields[0], fields[1] ?? '']] : Object.entries(fields[0]);
        for (const [field = '', value = ''] of entries) hash(key).set(field, value);
        return entries.length;
      },
      hdel: async (key: string, ...fields: string[]) =>
        fields.filter((field) => hash(key).delete(field)).length,
      multi: () => {
        const steps: (() => Promise<number>)[] = [];
        const step = {
          hset: (key: string, field: string, value: string) => {
            steps.push(() => commands.hset(key, field, value));
            return step;
          },
          // Nobody watches.
          xadd: () => step,
          exec: () => Promise.all(steps.map((run) => run())),
        };
        return step;
      },
    };
    return commands as unknown as Redis;
  }
}

/** Each call takes from the fuse; when it is burnt, nothing is done any more. A step that was begun may still have been done. */
export function fragile<T extends object>(target: T, fuse: { left: number }): T {
  const burn = () => {
    if (fuse.left-- <= 0) throw new Crash('the coordinator died');
  };
  return new Proxy(target, {
    get(_, name) {
      const member = Reflect.get(target, name, target);
      if (typeof member !== 'function') return member;
      if (name === 'multi') return () => fragileStep(member.apply(target), burn);
      return (...words: unknown[]) => {
        const call = () => {
          burn();
          return member.apply(target, words);
        };
        // A listing is no promise.
        return name === 'list' ? call() : (async () => call())();
      };
    },
  });
}

/** What is done together is done or not. */
function fragileStep<S extends { exec: () => Promise<unknown> }>(step: S, burn: () => void): S {
  const { exec } = step;
  step.exec = async () => {
    burn();
    return exec();
  };
  return step;
}
