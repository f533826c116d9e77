/** `node dist/test/simulator/main.js --coordinator HOST:PORT --agents N`: agents without processes, for load tests. */
import { toHoldfastError } from '../../core/errors';
import { parseSimulatorOptions, USAGE } from './options';
import { Simulation } from './simulation';
import { Summary } from './summary';

const SUMMARY_EVERY_MS = 10_000;

function asked(): Promise<void> {
  return new Promise((resolve) => {
    process.once('SIGTERM', () => resolve());
    process.once('SIGINT', () => resolve());
  });
}

async function main(): Promise<void> {
  const options = parseSimulatorOptions(process.argv.slice(2));
  if (options === null) {
    console.log(USAGE);
    return;
  }
  const askedToEnd = asked();
  const { agents, json } = options;
  const summary = new Summary();
  if (!json) console.log(`${agents} agents dial ${options.coordinator}.`);
  const simulation = await Simulation.start(options, (event) =>
    json ? console.log(JSON.stringify(event)) : summary.add(event),
  );
  console.log(json ? JSON.stringify({ event: 'ready', agents }) : `${agents} agents are registered.`);
  const timer = setInterval(() => {
    const text = summary.take();
    if (text !== null) console.log(text);
  }, SUMMARY_EVERY_MS);
  await askedToEnd;
  clearInterval(timer);
  simulation.close();
}

main().then(
  () => process.exit(0),
  (error: unknown) => {
    const { message, remedy, kind } = toHoldfastError(error);
    console.error([message, remedy].filter(Boolean).join('\n'));
    process.exit(kind.exitCode);
  },
);
