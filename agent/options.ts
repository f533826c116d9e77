/** The agent's options, checked once at start. */
import { hostname } from 'node:os';
import { z } from 'zod';
import { HoldfastError } from '../core/errors';

const MIB = 1 << 20;

const schema = z.object({
  /** Address of the coordinator, HOST:PORT. */
  coordinator: z.string().regex(/^.+:\d+$/, 'must be HOST:PORT'),
  node: z
    .string()
    .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/, 'must be a host name')
    .default(hostname()),
  /** Primary first; empty: every address that is not loopback. */
  addresses: z.array(z.string()).default([]),
  storeUrl: z.string().min(1),
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
  logLevel: z.string().default('info'),
});

export type AgentOptions = Readonly<z.infer<typeof schema>>;
export type AgentOptionsInput = z.input<typeof schema>;

export function parseAgentOptions(input: AgentOptionsInput): AgentOptions {
  const parsed = schema.safeParse(input);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    throw new HoldfastError(
      'INVALID_ARGUMENT',
      `agent option ${issue?.path.join('.') ?? '?'}: ${issue?.message ?? 'not valid'}`,
      'see holdfast agent --help',
    );
  }
  const options = parsed.data;
  if (!options.tlsDirectory && !options.insecureLoopback) {
    throw new HoldfastError(
      'INVALID_ARGUMENT',
      'the agent has no certificates',
      'give --tls DIR (see holdfast ca), or --insecure-loopback for a coordinator on this machine',
    );
  }
  if (options.encryptionKeys && options.encryptionKeyCommand) {
    throw new HoldfastError(
      'INVALID_ARGUMENT',
      'encryption keys are named twice',
      'give --encryption-keys or --encryption-key-command, not both',
    );
  }
  return Object.freeze(options);
}
