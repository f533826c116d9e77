import { type Command, Option } from 'commander';
import type * as CoordinatorMain from '../../coordinator/main';
import type * as CoordinatorOptions from '../../coordinator/options';
import type * as Native from '../../native';
import { addConfig, configurationOf } from '../configuration/daemon';
import { announce, runDaemon } from '../daemon';
import { addJson, type JsonOption } from '../options';
import { parsePolicy } from '../policy';
import {
  collect,
  collectQuotas,
  parseChoice,
  parseCount,
  parseDuration,
  parseHostPort,
  parseInterval,
  parsePath,
  parseSize,
} from '../values';

const HELP = `
Runs in the foreground. One line on stdout tells that it is ready; its log goes to stderr. SIGTERM and SIGINT
stop it: jobs run on, and a checkpoint in flight is settled when it comes back. SIGHUP reads the configuration again.
Without --redis it runs one of its own, with its data in the state directory. Several coordinators with the same --redis and
--store are one: the first leads, the others stand by, answer what only reads, and take over when its lease ends. Every option can also be given in the
section "coordinator" of the configuration file, under its name without the dashes.

Examples:
  holdfast coordinator --store 's3://holdfast?endpoint=https://s3.example.org' --tls /etc/holdfast/tls
  holdfast coordinator --store file:///shared/holdfast --insecure-loopback
  holdfast coordinator --redis redis+sentinel://s1,s2,s3/holdfast --advertise head1:7020 --store file:///shared/holdfast --tls /etc/holdfast/tls

Exit codes:
  0 stopped on request; 2 an option is not valid; 9 the store failed; others: see holdfast(1), EXIT STATUS`;

async function coordinator({ json = false }: JsonOption, command: Command): Promise<void> {
  // Loaded on use: queues, drivers and native code are of no use to other commands.
  const { COORDINATOR_PART } = require('../../coordinator/options') as typeof CoordinatorOptions;
  const { startCoordinator } = require('../../coordinator/main') as typeof CoordinatorMain;
  const { peerCredentials } = require('../../native') as typeof Native;
  const read = () =>
    configurationOf(command, COORDINATOR_PART) as unknown as CoordinatorOptions.CoordinatorOptionsInput;
  await runDaemon(
    () => startCoordinator(read(), { peerCredentials }),
    ({ address, leads, metricsAddress, mungeAddress, toolsSocket }) => {
      const fields = {
        ...{ address, socket: toolsSocket, leads, metrics: metricsAddress ?? null },
        munge: mungeAddress ?? null,
      };
      const role = leads ? '' : ' and stands by';
      announce('ready', `the coordinator listens on ${address}${role}`, fields, json);
    },
    read,
  );
}

export function addCoordinator(program: Command): void {
  const command = program
    .command('coordinator')
    .summary('run the coordinator of a cluster')
    .description('Runs the coordinator: it makes one checkpoint of what all nodes captured, or none.')
    .addOption(
      new Option('--listen <host:port>', 'address for agents (default: port 7020, every address)')
        .env('HOLDFAST_LISTEN')
        .argParser(parseHostPort),
    )
    .addOption(
      new Option('--state-dir <dir>', 'what it keeps on disk (default: /var/lib/holdfast)')
        .env('HOLDFAST_STATE_DIR')
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
    .option(
      '--socket <path>',
      'UNIX socket for local tools (default: /run/holdfast/coordinator.sock)',
      parsePath,
    )
    .option(
      '--munge-listen <host:port>',
      'address for tools with MUNGE credentials (default: none)',
      parseHostPort,
    )
    .option('--munge-socket <path>', "munged's (default: MUNGE's own)", parsePath)
    .addOption(
      new Option('--lease <duration>', 'how long a silent node counts as alive (default: 10s)')
        .env('HOLDFAST_LEASE')
        .argParser(parseInterval),
    )
    .addOption(
      new Option('--leader-lease <duration>', 'how soon another coordinator replaces this one (default: 10s)')
        .env('HOLDFAST_LEADER_LEASE')
        .argParser(parseInterval),
    )
    .addOption(
      new Option('--advertise <host:port>', 'address by which agents know it (default: as it listens)')
        .env('HOLDFAST_ADVERTISE')
        .argParser(parseHostPort),
    )
    .addOption(
      new Option(
        '--restart-wait <duration>',
        'how long an automatic restart waits for capable nodes (default: 10m)',
      )
        .env('HOLDFAST_RESTART_WAIT')
        .argParser(parseDuration),
    )
    .addOption(
      new Option('--metrics <host:port>', 'serve metrics and health here; HOST is 127.0.0.1 without one').env(
        'HOLDFAST_METRICS',
      ),
    )
    .addOption(
      new Option('--max-checkpoints <n>', 'checkpoints in flight at most (default: 16)')
        .env('HOLDFAST_MAX_CHECKPOINTS')
        .argParser(parseCount),
    )
    .option('--keep <policy>', 'retention policy of jobs that have none (default: all)', parsePolicy)
    .option('--gc-every <interval>', 'how often the whole store is swept (default: 1h)', parseInterval)
    .option('--gc-grace <duration>', 'how long garbage waits for its deletion (default: 1h)', parseDuration)
    .option('--user-quota <size>', 'stored bytes of one user at most (default: no limit)', parseSize)
    .option(
      '--account-quota <account=size>',
      'stored bytes of an account at most, *=SIZE of each other one (repeatable; default: no limit)',
      collectQuotas,
    )
    .option('--audit-log <file>', 'who asked for what, as JSON lines (default: in its log)', parsePath)
    .option('--admins <who>', "uid, user's name or group:NAME who may do everything (repeatable)", collect)
    .option('--operators <who>', 'who may keep the cluster running, likewise (repeatable)', collect)
    .option(
      '--ckpt-unpriv-allowed <0|1|2>',
      'users may: 0 nothing, 1 checkpoint, 2 restart, too (default: 2)',
      (text) => Number(parseChoice(['0', '1', '2'])(text)),
    )
    .option(
      '--user-rate <n>',
      'calls of one user in a second at most (default: 100; 0: no limit)',
      parseCount,
    )
    .option(
      '--user-operations <n>',
      'open operations of one user at most (default: 100; 0: no limit)',
      parseCount,
    )
    .option(
      '--slurm',
      'follow what Slurm does with nodes and jobs; needs scontrol and squeue (default: false)',
    )
    .addOption(new Option('--log-level <level>', 'trace, debug, info, warn or error').env('HOLDFAST_LOG'))
    .addHelpText('after', HELP);
  addJson(addConfig(command)).action(coordinator);
}
