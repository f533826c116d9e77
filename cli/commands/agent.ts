import { type Command, Option } from 'commander';
import type * as AgentMain from '../../agent/main';
import type * as AgentOptions from '../../agent/options';
import { addConfig, configurationOf } from '../configuration/daemon';
import { announce, runDaemon } from '../daemon';
import { addJson, type JsonOption } from '../options';
import { collect, collectPaths, parseCount, parseHostPorts, parsePath, parseSize } from '../values';
import { addAgentCheck } from './agent-check';

const HELP = `
Runs in the foreground, as root. Two lines on stdout tell that it listens and that it is registered; its log
goes to stderr. SIGTERM and SIGINT stop it: what it holds frozen is thawed, jobs run on. SIGHUP reads the configuration
again. Every option can also be given in the section "agent" of the configuration file, under its name without the dashes.
With several coordinators it finds the one that leads.

Examples:
  holdfast agent --coordinator head:7020 --store 's3://holdfast?endpoint=https://s3.example.org' --tls /etc/holdfast/tls
  holdfast agent --coordinator head1:7020,head2:7020 --store file:///shared/holdfast --tls /etc/holdfast/tls
  holdfast agent check

Exit codes:
  0 stopped on request; 2 an option is not valid; 4 not root; 7 CRIU cannot be used; 9 the store failed;
  others: see holdfast(1), EXIT STATUS`;

async function agent({ json = false }: JsonOption, command: Command): Promise<void> {
  // Loaded on use: the agent brings the native engine with it.
  const { AGENT_PART } = require('../../agent/options') as typeof AgentOptions;
  const { startAgent } = require('../../agent/main') as typeof AgentMain;
  const read = () => configurationOf(command, AGENT_PART) as unknown as AgentOptions.AgentOptionsInput;
  await runDaemon(
    () => startAgent(read()),
    ({ registered, coordinator, metricsAddress }) => {
      const fields = { coordinator, metrics: metricsAddress ?? null };
      announce('listening', 'the agent listens to local tools', fields, json);
      registered.then(() => announce('ready', `the agent is registered with ${coordinator}`, fields, json));
    },
    read,
  );
}

export function addAgent(program: Command): void {
  const command = program
    .command('agent')
    .summary('run the agent of a node')
    .description('Runs the agent of this node: it freezes, captures and restores.')
    .addOption(
      new Option('--coordinator <host:port>', 'address of the coordinator; of several, with commas')
        .env('HOLDFAST_COORDINATOR')
        .argParser(parseHostPorts),
    )
    .addOption(new Option('--node <name>', 'name of this node (default: host name)').env('HOLDFAST_NODE'))
    .option('--address <ip>', 'address others reach it by (repeatable; default: all but loopback)', collect)
    .addOption(new Option('--store <url>', 'object store').env('HOLDFAST_STORE'))
    .addOption(
      new Option('--tls <dir>', 'ca.crt, NODE.crt and NODE.key').env('HOLDFAST_TLS').argParser(parsePath),
    )
    .option('--insecure-loopback', 'no TLS; only with a coordinator on this machine')
    .option('--socket <path>', 'UNIX socket for local tools (default: /run/holdfast/agent.sock)', parsePath)
    .addOption(
      new Option('--run-dir <dir>', 'what must not outlive a boot; tmpfs (default: /run/holdfast)')
        .env('HOLDFAST_RUN_DIR')
        .argParser(parsePath),
    )
    .addOption(
      new Option('--memory-budget <size>', 'buffers of the memory engine (default: 256MiB)')
        .env('HOLDFAST_MEMORY_BUDGET')
        .argParser(parseSize),
    )
    .option(
      '--local-root <dir>',
      'files here travel with checkpoints (repeatable; default: /tmp, /var/tmp, /dev/shm)',
      collectPaths,
    )
    .addOption(
      new Option('--criu <path>', 'CRIU 4.2 or later (default: searched)')
        .env('HOLDFAST_CRIU')
        .argParser(parsePath),
    )
    .option(
      '--remote-shell <path>',
      'what MPI launchers call for ssh (default: the one that came along)',
      parsePath,
    )
    .addOption(
      new Option(
        '--compression <auto|zstd|lz4|shuffle-lz4|none>',
        'codec of memory packs (default: auto, by chunk)',
      ).choices(['auto', 'zstd', 'lz4', 'shuffle-lz4', 'none']),
    )
    .addOption(
      new Option(
        '--tracker <probe|write-protect|soft-dirty|fingerprint>',
        'how written pages are found (default: the best this kernel has)',
      ).choices(['probe', 'write-protect', 'soft-dirty', 'fingerprint']),
    )
    .option('--compression-level <level>', 'level of zstd, 1 to 19 (default: 1)', parseCount)
    .option(
      '--max-upload-rate <size>',
      'at most so many bytes a second into the store (default: no limit)',
      parseSize,
    )
    .option('--nice <level>', 'copy with this niceness while jobs run, 0 to 19 (default: 10)', parseCount)
    .option('--encryption-keys <dir>', 'encrypt checkpoints with the key files TENANT/NAME here', parsePath)
    .option('--encryption-key-command <path>', 'encrypt checkpoints with keys of this program', parsePath)
    .addOption(
      new Option('--metrics <host:port>', 'serve metrics and health here; HOST is 127.0.0.1 without one').env(
        'HOLDFAST_METRICS',
      ),
    )
    .addOption(new Option('--log-level <level>', 'trace, debug, info, warn or error').env('HOLDFAST_LOG'))
    .addHelpText('after', HELP);
  addJson(addConfig(command)).action(agent);
  addAgentCheck(command);
}
