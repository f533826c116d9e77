/** What the simulator may be told. Pure. */
import { parseArgs } from 'node:util';
import { HoldfastError } from '../../core/errors';
import type { SimulationOptions } from './simulation';

export interface SimulatorOptions extends SimulationOptions {
  readonly json: boolean;
}

const MAX_AGENTS = 100_000;

export const USAGE = `Usage: node dist/test/simulator/main.js --coordinator HOST:PORT [options]

Agents without processes, for load tests: each has a connection, a session and a lease of its own, as the agent of a
node has, and does what the coordinator commands, but nothing is captured and nothing is stored. They are the nodes
sim00000, sim00001 ... and take jobs, checkpoints and restarts until Ctrl-C ends them.

  --coordinator HOST:PORT  whom they dial
  --agents N               how many (default 100)
  --tls DIR                ca.crt, and NAME.crt and NAME.key of each of them; without it plain text
  --pace MS                preparing and capturing take half of it to all of it, uploading ten times as long
                           (default 200)
  --seed N                 of these times (default 1)
  --json                   one line for each event instead of a summary now and then
  --help                   this text

HOLDFAST_LOG=warn shows connections that break.

  holdfast coordinator --store file:///tmp/store --insecure-loopback --listen 127.0.0.1:7020 &
  node dist/test/simulator/main.js --coordinator 127.0.0.1:7020 --agents 100`;

/** null: it asks for help. @throws HoldfastError INVALID_ARGUMENT */
export function parseSimulatorOptions(argv: readonly string[]): SimulatorOptions | null {
  const values = parse(argv);
  if (values.help) return null;
  if (!/^(\[[0-9a-fA-F:]+\]|[^:\s]+):[0-9]{1,5}$/.test(values.coordinator ?? ''))
    throw invalid(`--coordinator takes HOST:PORT, not ${values.coordinator ?? 'nothing'}`);
  return {
    coordinator: values.coordinator ?? '',
    agents: whole('--agents', values.agents, 1, MAX_AGENTS),
    tlsDirectory: values.tls ?? null,
    paceMs: whole('--pace', values.pace, 0, 3_600_000),
    seed: whole('--seed', values.seed, 0, 2 ** 32 - 1),
    json: values.json,
  };
}

function parse(argv: readonly string[]) {
  try {
    return parseArgs({
      args: [...argv],
      options: {
        coordinator: { type: 'string' },
        agents: { type: 'string', default: '100' },
        tls: { type: 'string' },
        pace: { type: 'string', default: '200' },
        seed: { type: 'string', default: '1' },
        json: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    }).values;
  } catch (error) {
    throw invalid((error as Error).message);
  }
}

function whole(option: string, text: string, least: number, most: number): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= least && value <= most) return value;
  throw invalid(`${option} takes a whole number from ${least} to ${most}, not ${text}`);
}

const invalid = (message: string) => new HoldfastError('INVALID_ARGUMENT', message, 'see --help');
