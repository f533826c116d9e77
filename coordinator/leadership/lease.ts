/**
 * The lease of who leads, in Redis: one key that ends by itself, and the newest term, which stays. Each step is one script,
 * so two coordinators never both believe that they were first (A1).
 */
import type { Redis } from 'ioredis';
import { KEYS } from '../state/keys';

export interface Candidate {
  /** Random, per attempt to lead. */
  readonly owner: string;
  /** HOST:PORT where agents reach it. */
  readonly address: string;
}

export interface Held {
  /** Larger than every one before, also after a loss of Redis. */
  readonly term: number;
  /** What Redis compares (A2): the term, and whose it is. */
  readonly token: string;
}

export interface Leader {
  /** HOST:PORT */
  readonly address: string;
  readonly remainingMs: number;
}

/** A term is at least the time in seconds: losing Redis, or its last writes, gives none twice. */
const TAKE = `
if ARGV[4] == '0' and redis.call('EXISTS', KEYS[1]) == 1 then return {0, ''} end
local last = tonumber(string.match(redis.call('GET', KEYS[2]) or '0', '^%d+'))
local term = math.max(last + 1, tonumber(redis.call('TIME')[1]))
local token = string.format('%d %s', term, ARGV[1])
redis.call('SET', KEYS[2], token)
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return {term, token}`;

/** Also when it has ended: as long as nobody has taken another term, nobody else has led. */
const RENEW = `
if redis.call('GET', KEYS[2]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1`;

const RELEASE = `
if redis.call('GET', KEYS[2]) == ARGV[1] then redis.call('DEL', KEYS[1]) end`;

/** What a Redis client has once openRedis() has made it. */
export interface LeaseCommands {
  holdfastTake(
    ...words: [string, string, string, string, number, '0' | '1']
  ): Promise<[term: number, token: string]>;
  holdfastRenew(...words: [string, string, string, string, number]): Promise<0 | 1>;
  holdfastRelease(...words: [string, string, string]): Promise<unknown>;
}

export const LEASE_SCRIPTS = { holdfastTake: TAKE, holdfastRenew: RENEW, holdfastRelease: RELEASE } as const;

const scripted = (redis: Redis) => redis as unknown as LeaseCommands;

/**
 * @param isAlone nobody else can be there: a lease that has not ended is that of a process that is gone
 * @returns null: somebody leads
 */
export async function takeLease(
  redis: Redis,
  { owner, address }: Candidate,
  leaseMs: number,
  isAlone: boolean,
): Promise<Held | null> {
  const words = [KEYS.leader, KEYS.term, owner, address, leaseMs, isAlone ? '1' : '0'] as const;
  const [term, token] = await scripted(redis).holdfastTake(...words);
  return term === 0 ? null : { term, token };
}

/** false: another term was taken, or Redis has lost it. */
export async function renewLease(redis: Redis, { token }: Held, address: string, leaseMs: number) {
  return (
    (await scripted(redis).holdfastRenew(KEYS.leader, KEYS.term, token, address, Math.ceil(leaseMs))) === 1
  );
}

/** So that the next one need not wait for its end. */
export async function releaseLease(redis: Redis, { token }: Held): Promise<void> {
  await scripted(redis).holdfastRelease(KEYS.leader, KEYS.term, token);
}

export async function currentLeader(redis: Redis): Promise<Leader | null> {
  const [address, remainingMs] = await Promise.all([redis.get(KEYS.leader), redis.pttl(KEYS.leader)]);
  return address === null ? null : { address, remainingMs: Math.max(0, remainingMs) };
}
