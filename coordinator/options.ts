/** The coordinator's configuration: parsed once, complete, frozen. */
import { isIP } from 'node:net';
import { isAbsolute } from 'node:path';
import { z } from 'zod';
import { ANY_ACCOUNT, isAccount } from '../core/accounts';
import { HoldfastError } from '../core/errors';
import { isLogLevel, LOG_LEVELS } from '../core/log';
import { KEEP_ALL, RULES, type Rule } from '../core/retention';
import { invalidSetting, parseSettings, type SettingNames } from '../core/settings';
import { textFor } from '../core/settingText';
import { metricsAddress } from '../core/telemetry/address';
import { parseStoreUrl } from '../store/url';
import { parseRedisUrl } from './redis/url';

const PORT = 7020;

/** A uid, a user's name, or `group:` and a group. */
const who = z
  .string()
  .regex(
    /^([0-9]{1,10}|[A-Za-z_][^\s,:]*|group:[^,:\0]+)$/,
    'must be a uid, the name of a user, or group: and the name of a group',
  );
const HOST_PORT = /^(\[[0-9a-fA-F:]+\]|[^:\s]+):[0-9]{1,5}$/;
const count = z.number().int().min(0);
const absolute = z.string().refine(isAbsolute, 'must be an absolute path');

const schema = z
  .object({
    /**
     * HOST:PORT to listen on for agents; port 0 takes a free one. An IPv6 host is written in brackets. Default: port 7020 on
     * every address, or on 127.0.0.1 for plain text.
     */
    listen: z.string().regex(HOST_PORT, 'must be HOST:PORT').optional(),
    /** ca.crt and NAME.crt, NAME.key. */
    tlsDirectory: absolute.optional(),
    /** Name of the coordinator's certificate in it; default: its only one with a coordinator's role. */
    tlsName: z.string().optional(),
    /** Plain text, for tests on one machine. */
    insecureLoopback: z.boolean().default(false),
    /** HOST:PORT for tools with MUNGE credentials; absent: none. */
    mungeListen: z.string().regex(HOST_PORT, 'must be HOST:PORT').optional(),
    /** Of munged; absent: MUNGE's own default. */
    mungeSocket: absolute.optional(),
    stateDirectory: absolute.default('/var/lib/holdfast'),
    /** A Redis of the site's own; without it, one of ours in the state directory. */
    redisUrl: textFor(parseRedisUrl).optional(),
    storeUrl: textFor(parseStoreUrl),
    toolsSocket: absolute.default('/run/holdfast/coordinator.sock'),
    leaseMs: z.number().int().min(200).max(600_000).default(10_000),
    /** How long nobody leads at most when the leader is gone, where several coordinators share a Redis. */
    leaderLeaseMs: z.number().int().min(200).max(600_000).default(10_000),
    /** HOST:PORT by which agents know this coordinator; default: the host's name, with the port it listens on. */
    advertise: z.string().regex(HOST_PORT, 'must be HOST:PORT').optional(),
    heartbeatMs: z.number().int().min(20).optional(),
    /** How long an automatic restart waits for nodes that can take the job. */
    restartWaitMs: z.number().int().min(0).default(600_000),
    /** [HOST:]PORT for metrics and health; absent: none. */
    metrics: metricsAddress.optional(),
    /** At work at the same time, in the whole cluster. */
    maxCheckpoints: z.number().int().min(1).max(1_000).default(16),
    /** Of jobs that have no policy of their own. */
    retention: z
      .object(
        Object.fromEntries(RULES.map(({ field }) => [field, count])) as Record<Rule['field'], typeof count>,
      )
      .strict()
      .default(KEEP_ALL),
    /** Between condemning an object and deleting it. */
    gcGraceMs: count.default(3_600_000),
    /** Between two sweeps of the whole store. */
    gcIntervalMs: z.number().int().min(1_000).default(3_600_000),
    /** Stored bytes of one user; 0: no limit. */
    userQuotaBytes: count.default(0),
    /** Stored bytes of each account; those that are not named have no limit, unless "*" is. */
    accountQuotas: z
      .array(
        z.object({
          account: z
            .string()
            .refine((name) => name === ANY_ACCOUNT || isAccount(name), 'must be an account, or *'),
          bytes: count,
        }),
      )
      .default([]),
    /** Slurm is asked what it does with nodes and jobs. */
    slurm: z.boolean().default(false),
    /** A file of JSON lines; absent: lines of the ordinary log. */
    auditLog: absolute.optional(),
    /** Besides root. */
    admins: z.array(who).default([]),
    operators: z.array(who).default([]),
    /** Calls of one user in a second; 0: no limit. */
    userRate: count.default(100),
    /** Operations of one user's jobs that are open; 0: no limit. */
    userOperations: count.default(100),
    /** What users may do without a role: nothing (0), checkpoint (1), or restart, too (2). */
    unprivilegedAllowed: z.literal([0, 1, 2]).default(2),
    logLevel: z
      .string()
      .refine(isLogLevel, `must be one of ${LOG_LEVELS.join(', ')}`)
      .default('info'),
  })
  .strict();

export type CoordinatorOptionsInput = z.input<typeof schema>;
export type CoordinatorOptions = Readonly<
  z.output<typeof schema> & { listen: string; heartbeatMs: number; host: string }
>;

export const COORDINATOR_SETTINGS = {
  listen: 'listen',
  store: 'storeUrl',
  redis: 'redisUrl',
  'state-dir': 'stateDirectory',
  tls: 'tlsDirectory',
  'tls-name': 'tlsName',
  'insecure-loopback': 'insecureLoopback',
  socket: 'toolsSocket',
  'munge-listen': 'mungeListen',
  'munge-socket': 'mungeSocket',
  lease: 'leaseMs',
  'leader-lease': 'leaderLeaseMs',
  advertise: 'advertise',
  'restart-wait': 'restartWaitMs',
  'max-checkpoints': 'maxCheckpoints',
  keep: 'retention',
  'gc-every': 'gcIntervalMs',
  'gc-grace': 'gcGraceMs',
  'user-quota': 'userQuotaBytes',
  'account-quota': 'accountQuotas',
  'audit-log': 'auditLog',
  admins: 'admins',
  operators: 'operators',
  'ckpt-unpriv-allowed': 'unprivilegedAllowed',
  'user-rate': 'userRate',
  'user-operations': 'userOperations',
  slurm: 'slurm',
  metrics: 'metrics',
  'log-level': 'logLevel',
} as const satisfies SettingNames<keyof CoordinatorOptionsInput>;

/** These take effect without a restart. */
export const COORDINATOR_RELOADABLE = [
  'restart-wait',
  'max-checkpoints',
  'keep',
  'gc-grace',
  'user-quota',
  'account-quota',
  'admins',
  'operators',
  'ckpt-unpriv-allowed',
  'user-rate',
  'user-operations',
  'log-level',
] as const satisfies (keyof typeof COORDINATOR_SETTINGS)[];

export const COORDINATOR_PART = {
  name: 'coordinator',
  settings: COORDINATOR_SETTINGS,
  reloadable: COORDINATOR_RELOADABLE,
} as const;

/** @throws HoldfastError INVALID_ARGUMENT naming the setting, what was received and what is expected */
export function parseCoordinatorOptions(input: CoordinatorOptionsInput): CoordinatorOptions {
  const options = parseSettings(schema, input, COORDINATOR_PART);
  const listen = options.listen ?? `${options.insecureLoopback ? '127.0.0.1' : '0.0.0.0'}:${PORT}`;
  const host = listen.slice(0, listen.lastIndexOf(':')).replace(/^\[|\]$/g, '');
  const heartbeatMs = options.heartbeatMs ?? Math.max(20, Math.floor(options.leaseMs / 5));
  if (heartbeatMs * 2 > options.leaseMs) {
    const problem = `must be at most half of the lease, ${options.leaseMs} ms`;
    throw invalidSetting(COORDINATOR_PART, 'heartbeatMs', heartbeatMs, problem);
  }
  if ((options.tlsDirectory === undefined) !== options.insecureLoopback) {
    const problem = 'give either a TLS directory or the option for plain text on loopback';
    throw new HoldfastError('INVALID_ARGUMENT', problem, 'set tls, or insecure-loopback, not both');
  }
  if (options.insecureLoopback && !isLoopback(host)) {
    const problem = `plain text is only allowed on a loopback address, not on ${host}`;
    throw invalidSetting(COORDINATOR_PART, 'listen', listen, problem);
  }
  if (options.mungeListen !== undefined && options.insecureLoopback) {
    const problem = 'needs TLS: a credential is for whom it is shown to';
    throw invalidSetting(COORDINATOR_PART, 'mungeListen', options.mungeListen, problem);
  }
  return Object.freeze({ ...options, listen, heartbeatMs, host });
}

/** By address: a name could be pointed elsewhere. */
export function isLoopback(host: string): boolean {
  return (isIP(host) === 4 && host.startsWith('127.')) || host === '::1';
}
