import { type Command, Option } from 'commander';
import type * as CoordinatorMain from '../../coordinator/main';
import type * as Native from '../../native';
import { announce, runDaemon } from '../daemon';
import { addJson, type JsonOption, required } from '../options';
import { parseCount, parseHostPort, parseInterval, parsePath } from '../values';

interface CoordinatorCommandOptions extends JsonOption {
  readonly listen?: string;
  readonly stateDir: string;
  readonly redis?: string;
  readonly store?: string;
  readonly tls?: string;
  readonly tlsName?: string;
  readonly insecureLoopback?: boolean;
  readonly socket: string;
  readonly lease?: number;
  readonly maxCheckpoints?: number;
  readonly logLevel?: string;
}

const PORT = 7020;

const HELP = `
Runs in the foreground. One line on stdout tells that it is ready; its log goes to stderr. SIGTERM and SIGINT
stop it: jobs run on, and a checkpoint in flight is settled when it comes back.
Without --redis it runs one of its own, with its data in the state directory.

Examples:
  holdfast coordinator --store 's3://holdfast?endpoint=https://s3.example.org' --tls /etc/holdfast/tls
  holdfast coordinator --store file:///shared/holdfast --insecure-loopback

Exit codes:
  0 stopped on request; 2 an option is not valid; 9 the store failed; others: see holdfast(1), EXIT STATUS`;

async function coordinator(options: CoordinatorCommandOptions): Promise<void> {
  const storeUrl = required(options.store, '--store URL', 'HOLDFAST_STORE');
  const listen = options.listen ?? `${options.insecureLoopback ? '127.0.0.1' : '0.0.0.0'}:${PORT}`;
  // Loaded on use: queues, drivers and native code are of no use to other commands.
  const { startCoordinator } = require('../../coordinator/main') as typeof CoordinatorMain;
  const { peerCredentials } = require('../../native') as typeof Native;
  await runDaemon(
    () =>
      startCoordinator(
        {
          listen,
          stateDirectory: options.stateDir,
          redisUrl: options.redis,
          storeUrl,
          tlsDirectory: options.tls,
          tlsName: options.tlsName,
          insecureLoopback: options.insecureLoopback,
          toolsSocket: options.socket,
          leaseMs: options.lease,
          maxCheckpoints: options.maxCheckpoints,
          logLevel: options.logLevel,
        },
        { peerCredentials },
      ),
    ({ address }) => {
      const fields = { address, socket: options.socket };
      announce('ready', `the coordinator listens on ${address}`, fields, options.json ?? false);
    },
  );
}

export function addCoordinator(program: Command): void {
  const command = program
    .command('coordinator')
    .summary('run the coordinator of a cluster')
    .description('Runs the coordinator: it makes one checkpoint of what all nodes captured, or none.')
    .addOption(
      new Option('--listen <host:port>', `address for agents (default: port ${PORT}, every address)`)
        .env('HOLDFAST_LISTEN')
        .argParser(parseHostPort),
    )
    .addOption(
      new Option('--state-dir <dir>', 'what it keeps on disk')
        .env('HOLDFAST_STATE_DIR')
        .default('/var/lib/holdfast')
        .argParser(parsePath),
    )
    .addOption(
      new Option('--redis <url>', 'Redis for operations in flight (default: its own)').env('HOLDFAST_REDIS'),
    )
    .addOption(new Option('--store <url>', 'object store').env('HOLDFAST_STORE'))
    .addOption(
      new Option('--tls <dir>', 'ca.crt, NAME.crt and NAME.key').env('HOLDFAST_TLS').argParser(parsePath),
    )
    .option('--tls-name <name>', "NAME of its certificate (default: the only coordinator's there)")
    .option('--insecure-loopback', 'no TLS; only on a loopback address')
    .addOption(
      new Option('--socket <path>', 'UNIX socket for local tools')
        .default('/run/holdfast/coordinator.sock')
        .argParser(parsePath),
    )
    .addOption(
      new Option('--lease <duration>', 'how long a silent node counts as alive (default: 10s)')
        .env('HOLDFAST_LEASE')
        .argParser(parseInterval),
    )
    .addOption(
      new Option('--max-checkpoints <n>', 'checkpoints in flight at most (default: 16)')
        .env('HOLDFAST_MAX_CHECKPOINTS')
        .argParser(parseCount),
    )
    .addOption(new Option('--log-level <level>', 'trace, debug, info, warn or error').env('HOLDFAST_LOG'))
    .addHelpText('after', HELP);
  addJson(command).action(coordinator);
}
