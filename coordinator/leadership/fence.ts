/**
 * The one way by which the coordinator writes to Redis (A2): each write, alone or with others, is a step that Redis refuses
 * unless the term it names is the newest.
 */
import type { Redis } from 'ioredis';
import { HoldfastError } from '../../core/errors';
import { KEYS } from '../state/keys';

/** ARGV: the token, then each command's count of words and its words. */
const FENCED = `
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return redis.error_reply('FENCED') end
local replies, at = {}, 2
while at <= #ARGV do
  local count = tonumber(ARGV[at])
  replies[#replies + 1] = redis.call(unpack(ARGV, at + 1, at + count))
  at = at + count + 1
end
return replies`;

export const FENCE_SCRIPTS = { holdfastFenced: FENCED } as const;

export interface FenceCommands {
  holdfastFenced(keyCount: number, ...words: (string | number)[]): Promise<unknown[]>;
}

const READS: ReadonlySet<string> = new Set([
  ...['get', 'hget', 'hgetall', 'hmget', 'hexists', 'exists', 'llen', 'lrange', 'pttl', 'ping', 'info'],
]);
const WRITES: ReadonlySet<string> = new Set([
  ...['set', 'incr', 'hset', 'hdel', 'del', 'rpush', 'ltrim', 'expire', 'xadd'],
]);
/** Lua takes so many words from a list at once, with room to spare. */
const MAX_WORDS = 2_000;

type Words = readonly [name: string, key: string, ...rest: string[]];

export interface Fence {
  /** null: it does not lead, and writes nothing. */
  readonly token: string | null;
  /** Redis has refused a write. */
  readonly onRefused: () => void;
}

export function notLeading(): HoldfastError {
  const message = 'this coordinator does not lead any more: it has not done that';
  return new HoldfastError('COORDINATOR_UNAVAILABLE', message, 'try again: another one leads');
}

/** The client for everything but the lease itself. It knows the commands that are used, and refuses all others. */
export function fencedRedis(redis: Redis, fence: Fence): Redis {
  const write = (commands: readonly Words[]) => execute(redis, fence, commands);
  return new Proxy(redis, {
    get(target, name) {
      if (name === 'multi') return () => stepOf(write);
      if (typeof name === 'string' && WRITES.has(name))
        return async (...args: unknown[]) => (await write(wordsOf(name, args))).at(-1);
      const member = Reflect.get(target, name, target);
      if (typeof member !== 'function') return member;
      if (typeof name === 'string' && READS.has(name)) return member.bind(target);
      throw unknown(name);
    },
  });
}

/** As ioredis' multi(): commands that are done together, or not at all. */
function stepOf(write: (commands: readonly Words[]) => Promise<unknown[]>) {
  const commands: Words[] = [];
  const step: unknown = new Proxy(
    {},
    {
      get: (_, name) => {
        if (name === 'exec') return () => write(commands);
        if (typeof name !== 'string' || !WRITES.has(name)) throw unknown(name);
        return (...args: unknown[]) => {
          commands.push(...wordsOf(name, args));
          return step;
        };
      },
    },
  );
  return step;
}

function unknown(name: string | symbol): HoldfastError {
  return new HoldfastError('INTERNAL', `${String(name)} is no command that the fence knows`);
}

async function execute(redis: Redis, fence: Fence, commands: readonly Words[]): Promise<unknown[]> {
  if (fence.token === null) throw notLeading();
  const keys = [KEYS.term, ...commands.map(([, key]) => key)];
  const words = commands.flatMap((command) => [command.length, ...command]);
  try {
    const client = redis as unknown as FenceCommands;
    return await client.holdfastFenced(keys.length, ...keys, fence.token, ...words);
  } catch (thrown) {
    if (!(thrown instanceof Error && /\bFENCED\b/.test(thrown.message))) throw thrown;
    fence.onRefused();
    throw notLeading();
  }
}

/** As ioredis takes arguments: lists and objects count as their parts. Many fields become several commands. */
function wordsOf(name: string, args: readonly unknown[]): Words[] {
  const [key = '', ...rest] = args.flatMap(flat).map(String);
  if (rest.length <= MAX_WORDS) return [[name, key, ...rest]];
  const pieces: Words[] = [];
  for (let at = 0; at < rest.length; at += MAX_WORDS)
    pieces.push([name, key, ...rest.slice(at, at + MAX_WORDS)]);
  return pieces;
}

function flat(argument: unknown): unknown[] {
  if (Array.isArray(argument)) return argument;
  return typeof argument === 'object' && argument !== null ? Object.entries(argument).flat() : [argument];
}
