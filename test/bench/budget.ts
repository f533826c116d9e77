/** The agent's memory against the job's: peak RSS of the agent during a first, full checkpoint. */
import type { Bench, BenchContext } from './bench';
import { Holdfast } from './holdfast';
import { ProcessFigures } from './processFigures';
import { type BenchResult, ratiosOf } from './result';
import { requireMemory } from './room';
import { Samples } from './samples';
import { Stage } from './stage';
import { BenchVictim } from './victim';

const SIZES_MIB = [1024, 8192];
const QUICK_SIZES_MIB = [32, 128];

/** What the agent starts for a checkpoint (CRIU, the watchdog) comes and goes beside it. */
function agentMemory(stage: Stage): ProcessFigures {
  const agent = stage.node
    .processes()
    .find(({ argv }) => argv.includes('agent') && argv[0]?.endsWith('node'));
  if (!agent) throw new Error('no agent runs on the node');
  return new ProcessFigures(stage.node.path(`/proc/${agent.pid}`));
}

async function run(context: BenchContext): Promise<BenchResult> {
  const sizes = (context.quick ? QUICK_SIZES_MIB : SIZES_MIB).filter((size) => size <= context.maxSizeMib);
  requireMemory('the largest victim', 1.25 * Math.max(...sizes));
  const stage = await Stage.open(context, { store: 'disk' });
  const holdfast = new Holdfast(stage, context);
  const agent = agentMemory(stage);
  const samples = new Samples();
  for (let run = 1; run <= context.runs; run += 1) {
    for (const sizeMib of sizes) {
      const victim = await BenchVictim.start(stage, `victim-${sizeMib}-${run}`, sizeMib);
      try {
        agent.resetPeak();
        const { wallMs, summary } = await holdfast.checkpoint(victim.pid);
        const rss_mib = agent.peakMib();
        samples.add({ size_mib: sizeMib }, { rss_mib, took_ms: wallMs, held_ms: summary.heldMs });
        context.say(`${sizeMib} MiB, ${run}: the agent's peak is ${rss_mib.toFixed(0)} MiB`);
      } finally {
        await victim.kill();
      }
    }
  }
  const rss = (sizeMib: number) => samples.median({ size_mib: sizeMib }, 'rss_mib');
  return { rows: samples.rows(), ratios: ratiosOf({ rss_8gib_over_1gib: [rss(8192), rss(1024)] }) };
}

export const budget: Bench = {
  name: 'budget',
  summary: "peak memory of the agent, against the job's",
  store: 'directory on disk',
  run,
};
