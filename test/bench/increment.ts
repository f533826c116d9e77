/** What a generation costs, against how much of the memory has changed since the last one. */
import type { Bench, BenchContext } from './bench';
import { Holdfast } from './holdfast';
import { type BenchResult, ratiosOf } from './result';
import { requireMemory } from './room';
import { Samples } from './samples';
import { Stage } from './stage';
import { BenchVictim, PAGES_PER_MIB } from './victim';

const SIZE_MIB = 1024;
const QUICK_SIZE_MIB = 64;
const PERCENTAGES = [0, 1, 5, 25, 100];
const FULL = 'first';

async function run(context: BenchContext): Promise<BenchResult> {
  const sizeMib = Math.min(context.quick ? QUICK_SIZE_MIB : SIZE_MIB, context.maxSizeMib);
  requireMemory(`a victim of ${sizeMib} MiB`, 2 * sizeMib);
  const stage = await Stage.open(context, { store: 'disk' });
  const holdfast = new Holdfast(stage, context);
  const samples = new Samples();

  const take = async (victim: BenchVictim, dirtied: string, run: number): Promise<void> => {
    const { window, result } = await victim.during('idle', () => holdfast.checkpoint(victim.pid));
    const { summary, wallMs } = result;
    const uploaded_mib = summary.uploadedBytes / 2 ** 20;
    samples.add(
      { size_mib: sizeMib, dirtied },
      { uploaded_mib, took_ms: wallMs, gap_ms: window.gapMs, held_ms: summary.heldMs },
    );
    context.say(`${dirtied}, ${run}: ${uploaded_mib.toFixed(2)} MiB in ${wallMs.toFixed(0)} ms`);
  };

  for (let run = 1; run <= context.runs; run += 1) {
    // A new process each time: its first generation is the full one that the others are compared with.
    const victim = await BenchVictim.start(stage, `victim-${run}`, sizeMib);
    try {
      await take(victim, FULL, run);
      for (const percent of PERCENTAGES) {
        const burst = Math.round((percent / 100) * sizeMib * PAGES_PER_MIB);
        await victim.tell({ burst });
        await victim.written(burst);
        await take(victim, `${percent} %`, run);
      }
    } finally {
      await victim.kill();
    }
  }
  const bytes = (dirtied: string) => samples.median({ size_mib: sizeMib, dirtied }, 'uploaded_mib');
  return {
    rows: samples.rows(),
    ratios: ratiosOf({
      bytes_5pct_over_full: [bytes('5 %'), bytes(FULL)],
      bytes_0pct_over_full: [bytes('0 %'), bytes(FULL)],
    }),
  };
}

export const increment: Bench = {
  name: 'increment',
  summary: 'bytes uploaded and time, against how much of the memory has changed',
  store: 'directory on disk',
  run,
};
