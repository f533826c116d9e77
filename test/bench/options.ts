/** What `npm run bench` may be told. Pure. */
import { parseArgs } from 'node:util';
import { HoldfastError } from '../../core/errors';
import type { BenchInfo } from './bench';

export interface BenchOptions {
  readonly name: string;
  readonly runs: number;
  readonly quick: boolean;
  readonly maxSizeMib: number;
  /** Only this load; null: all of them. */
  readonly load: string | null;
  /** Only with so many simulated agents; null: all numbers of the benchmark. */
  readonly agents: number | null;
  /** Where the result goes as JSON; null: nowhere. */
  readonly jsonPath: string | null;
}

export type Request =
  | { readonly kind: 'help' }
  | { readonly kind: 'list' }
  | { readonly kind: 'bench'; readonly options: BenchOptions };

const DEFAULT_RUNS = 5;
const LOADS = ['5', '100'];

export const usage = (benches: readonly BenchInfo[]): string => `Usage: npm run bench -- NAME [options]

Measures Holdfast against a peer or a limit in the same run, on simulated nodes of this machine. As root.

${listing(benches)}

  --json FILE      write machine, rows and ratios as JSON
  --runs N         samples of every figure, taken in turn with its peer's (default ${DEFAULT_RUNS})
  --quick          small sizes, one run: does it work at all? Its ratios say nothing
  --max-size MIB   leave out larger memories, and the ratios that need them
  --load PERCENT   stall: only this load, 5 or 100
  --agents N       coordinator: only with N simulated agents
  --list           the names above
  --help           this text

Progress goes to stderr, the table to stdout. docs/benchmarks.md tells what is measured, and how.`;

export const listing = (benches: readonly BenchInfo[]): string =>
  benches.map(({ name, summary }) => `  ${name.padEnd(12)} ${summary}`).join('\n');

/** Throws INVALID_ARGUMENT. */
export function parseBenchOptions(argv: readonly string[], benches: readonly BenchInfo[]): Request {
  const { values, positionals } = parse(argv);
  if (values.help) return { kind: 'help' };
  if (values.list) return { kind: 'list' };
  const names = benches.map(({ name }) => name).join(', ');
  const [name, ...more] = positionals;
  if (name === undefined || more.length > 0) throw invalid('name one benchmark', `one of ${names}`);
  if (!benches.some((bench) => bench.name === name))
    throw invalid(`there is no benchmark ${name}`, `one of ${names}`);
  if (values.load !== undefined && !LOADS.includes(values.load))
    throw invalid(`there is no load ${values.load}`, `one of ${LOADS.join(', ')}`);
  const quick = values.quick ?? false;
  return {
    kind: 'bench',
    options: {
      ...{ name, quick },
      runs: positive('--runs', values.runs, quick ? 1 : DEFAULT_RUNS),
      maxSizeMib: positive('--max-size', values['max-size'], Number.MAX_SAFE_INTEGER),
      load: values.load ?? null,
      agents: values.agents === undefined ? null : positive('--agents', values.agents, 1),
      jsonPath: values.json ?? null,
    },
  };
}

function parse(argv: readonly string[]) {
  try {
    return parseArgs({
      args: [...argv],
      allowPositionals: true,
      options: {
        json: { type: 'string' },
        runs: { type: 'string' },
        quick: { type: 'boolean' },
        'max-size': { type: 'string' },
        load: { type: 'string' },
        agents: { type: 'string' },
        list: { type: 'boolean' },
        help: { type: 'boolean' },
      },
    });
  } catch (error) {
    throw invalid((error as Error).message, 'see --help');
  }
}

function positive(option: string, text: string | undefined, whenAbsent: number): number {
  if (text === undefined) return whenAbsent;
  const value = Number(text);
  if (Number.isInteger(value) && value > 0) return value;
  throw invalid(`${option} takes a whole number above 0, not ${text}`, 'see --help');
}

const invalid = (message: string, remedy: string) => new HoldfastError('INVALID_ARGUMENT', message, remedy);
