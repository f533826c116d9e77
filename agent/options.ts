/** The agent's options, checked once at start. */
import { hostname } from 'node:os';
import { z } from 'zod';
import { HoldfastError } from '../core/errors';
import { isLogLevel, LOG_LEVELS } from '../core/log';
import { invalidSetting, parseSettings, type SettingNames } from '../core/settings';
import { textFor } from '../core/settingText';
import { metricsAddress } from '../core/telemetry/address';
import { parseStoreUrl } from '../store/url';

const MIB = 1 << 20;

const schema = z.object({
  /** HOST:PORT of every coordinator of the cluster. */
  coordinators: z.array(z.string().regex(/^.+:\d+$/, 'must be HOST:PORT')).min(1, 'must name one'),
  node: z
    .string()
    .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/, 'must be a host name')
    .default(hostname()),
  /** Primary first; empty: every address that is not loopback. */
  addresses: z.array(z.ipv4('must be an IPv4 address: restarts translate no others')).default([]),
  storeUrl: textFor(parseStoreUrl),
  tlsDirectory: z.string().optional(),
  insecureLoopback: z.boolean().default(false),
  toolsSocket: z.string().startsWith('/').default('/run/holdfast/agent.sock'),
  runDirectory: z.string().startsWith('/').default('/run/holdfast'),
  /** Upper limit of the memory engine's buffers. */
  memoryBudgetBytes: z
    .number()
    .int()
    .min(64 * MIB)
    .default(256 * MIB),
  /** File systems that do not outlive the node or are not seen by others: what a tree has open there travels. */
  localRoots: z.array(z.string().startsWith('/')).default(['/tmp', '/var/tmp', '/dev/shm']),
  criuPath: z.string().optional(),
  /** Program that MPI launchers call instead of ssh. */
  remoteShell: z.string().optional(),
  /** How the pages that were written are found. */
  tracker: z.enum(['probe', 'write-protect', 'soft-dirty', 'fingerprint']).default('probe'),
  /** Of memory packs; `auto` chooses chunk by chunk. */
  compression: z.enum(['auto', 'zstd', 'lz4', 'shuffle-lz4', 'none']).default('auto'),
  /** Of zstd. */
  compressionLevel: z.number().int().min(1).max(19).default(1),
  /** Stored bytes per second of all checkpoints on this node; absent: as fast as it goes. */
  maxUploadBytesPerS: z.number().int().min(MIB, 'must be 1MiB or more').optional(),
  /** How far the copying threads step back behind the job while it runs, as nice(1) counts. */
  nice: z.number().int().min(0).max(19).default(10),
  /** Encryption: files of keys, or a program that prints them. Neither: nothing is encrypted. */
  encryptionKeys: z.string().startsWith('/').optional(),
  encryptionKeyCommand: z.string().startsWith('/').optional(),
  /** [HOST:]PORT for metrics and health; absent: none. */
  metrics: metricsAddress.optional(),
  logLevel: z
    .string()
    .refine(isLogLevel, `must be one of ${LOG_LEVELS.join(', ')}`)
    .default('info'),
});

export type AgentOptions = Readonly<z.infer<typeof schema>>;
export type AgentOptionsInput = z.input<typeof schema>;

export const AGENT_SETTINGS = {
  coordinator: 'coordinators',
  node: 'node',
  address: 'addresses',
  store: 'storeUrl',
  tls: 'tlsDirectory',
  'insecure-loopback': 'insecureLoopback',
  socket: 'toolsSocket',
  'run-dir': 'runDirectory',
  'memory-budget': 'memoryBudgetBytes',
  'local-root': 'localRoots',
  criu: 'criuPath',
  'remote-shell': 'remoteShell',
  tracker: 'tracker',
  compression: 'compression',
  'compression-level': 'compressionLevel',
  'max-upload-rate': 'maxUploadBytesPerS',
  nice: 'nice',
  'encryption-keys': 'encryptionKeys',
  'encryption-key-command': 'encryptionKeyCommand',
  metrics: 'metrics',
  'log-level': 'logLevel',
} as const satisfies SettingNames<keyof AgentOptionsInput>;

/** These take effect without a restart. */
export const AGENT_RELOADABLE = [
  'max-upload-rate',
  'log-level',
] as const satisfies (keyof typeof AGENT_SETTINGS)[];

export const AGENT_PART = { name: 'agent', settings: AGENT_SETTINGS, reloadable: AGENT_RELOADABLE } as const;

/** @throws HoldfastError INVALID_ARGUMENT naming the setting, what was received and what is expected */
export function parseAgentOptions(input: AgentOptionsInput): AgentOptions {
  const options = parseSettings(schema, input, AGENT_PART);
  if (!options.tlsDirectory && !options.insecureLoopback) {
    throw new HoldfastError(
      'INVALID_ARGUMENT',
      'the agent has no certificates',
      'set tls (see holdfast ca), or insecure-loopback for a coordinator on this machine',
    );
  }
  if (options.encryptionKeys && options.encryptionKeyCommand) {
    const problem =
      'encryption keys are named twice: give encryption-keys or encryption-key-command, not both';
    throw invalidSetting(AGENT_PART, 'encryptionKeyCommand', options.encryptionKeyCommand, problem);
  }
  return Object.freeze(options);
}
