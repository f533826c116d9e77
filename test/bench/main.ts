/** Measurements against peers and limits: `npm run bench -- NAME`. */
import { writeFileSync } from 'node:fs';
import { HoldfastError } from '../../core/errors';
import type { Bench, BenchContext } from './bench';
import { BENCHES } from './catalogue';
import { machineFacts } from './machine';
import { type BenchOptions, listing, parseBenchOptions, usage } from './options';
import { report, table } from './result';

const startMs = Date.now();
const undo: (() => void | Promise<void>)[] = [];

function say(text: string): void {
  process.stderr.write(`[${((Date.now() - startMs) / 1000).toFixed(1).padStart(6)} s] ${text}\n`);
}

/** Undoes what was done, the last first; what cannot be undone is told, and does not keep the rest. */
async function cleanUp(): Promise<void> {
  for (let step = undo.pop(); step !== undefined; step = undo.pop()) {
    try {
      await step();
    } catch (error) {
      say(`not cleaned up: ${(error as Error).message}`);
    }
  }
}

async function measure(bench: Bench, options: BenchOptions): Promise<void> {
  const { runs, quick, maxSizeMib, load, agents, jsonPath } = options;
  const machine = await machineFacts(bench.store);
  const atEnd = (step: () => void | Promise<void>) => undo.push(step);
  const context: BenchContext = { runs, quick, maxSizeMib, load, agents, say, atEnd };
  const found = report(bench.name, machine, runs, await bench.run(context));
  if (jsonPath !== null) writeFileSync(jsonPath, `${JSON.stringify(found, null, 2)}\n`);
  const { cpu, cores, memory_mib, kernel, criu, store, date } = machine;
  process.stdout.write(`${bench.name}: ${bench.summary}\n`);
  process.stdout.write(
    `${cpu}, ${cores} cores, ${memory_mib} MiB, Linux ${kernel}, CRIU ${criu}, ${store}, ${date}; medians of ${runs}\n\n`,
  );
  process.stdout.write(`${table(found.rows)}\n\n`);
  for (const [name, ratio] of Object.entries(found.ratios)) process.stdout.write(`${name} = ${ratio}\n`);
}

async function main(): Promise<void> {
  const request = parseBenchOptions(process.argv.slice(2), BENCHES);
  if (request.kind === 'help') process.stdout.write(`${usage(BENCHES)}\n`);
  if (request.kind === 'list') process.stdout.write(`${listing(BENCHES)}\n`);
  if (request.kind !== 'bench') return;
  const bench = BENCHES.find(({ name }) => name === request.options.name);
  if (bench) await measure(bench, request.options);
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, async () => {
    await cleanUp();
    process.exit(signal === 'SIGINT' ? 130 : 143);
  });
}

main()
  .then(
    () => 0,
    (error: Error) => {
      const isKnown = error instanceof HoldfastError;
      process.stderr.write(`bench: ${isKnown ? `${error.code}: ` : ''}${error.message}\n`);
      if (isKnown && error.remedy) process.stderr.write(`  remedy: ${error.remedy}\n`);
      return isKnown ? error.kind.exitCode : 1;
    },
  )
  .then(async (code) => {
    await cleanUp();
    process.exit(code);
  });
