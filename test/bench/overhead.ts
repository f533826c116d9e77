/** How much slower a memory-bound job goes between its holds when it is tracked and checkpointed every 10 s. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Bench, BenchContext } from './bench';
import { Holdfast } from './holdfast';
import { type BenchResult, ratiosOf } from './result';
import { requireMemory } from './room';
import { Samples } from './samples';
import { Stage } from './stage';
import { BenchVictim, type Window } from './victim';

const SIZE_MIB = 1024;
const QUICK_SIZE_MIB = 64;
const INTERVAL_MS = 10_000;
const QUICK_INTERVAL_MS = 1_500;

/** Pages a second while it was let run. Only the longest gap is the hold; shorter ones are slow-down. */
const speed = ({ pages, lengthMs, gapMs }: Window, isHeld: boolean): number =>
  (pages * 1000) / (lengthMs - (isHeld ? gapMs : 0));

class Pair {
  private constructor(
    /** Never checkpointed, so nothing tracks it. */
    private readonly plain: BenchVictim,
    private readonly tracked: BenchVictim,
    private readonly holdfast: Holdfast,
    private readonly intervalMs: number,
  ) {}

  static async start(context: BenchContext, stage: Stage, sizeMib: number): Promise<Pair> {
    const plain = await BenchVictim.start(stage, 'plain', sizeMib);
    const tracked = await BenchVictim.start(stage, 'tracked', sizeMib);
    const holdfast = new Holdfast(stage, context);
    // Tracking is armed from the first generation on; that one has everything to copy.
    await holdfast.checkpoint(tracked.pid);
    return new Pair(plain, tracked, holdfast, context.quick ? QUICK_INTERVAL_MS : INTERVAL_MS);
  }

  /** One interval of each, one after the other. */
  async measure(): Promise<{ plain: Window; tracked: Window; heldMs: number }> {
    const plain = await this.plain.during('stream', () => delay(this.intervalMs));
    await this.plain.tell('idle');
    const tracked = await this.tracked.during('stream', async () => {
      const end = delay(this.intervalMs);
      const { summary } = await this.holdfast.checkpoint(this.tracked.pid);
      await end;
      return summary.heldMs;
    });
    await this.tracked.tell('idle');
    return { plain: plain.window, tracked: tracked.window, heldMs: tracked.result };
  }

  async end(): Promise<void> {
    await this.plain.kill();
    await this.tracked.kill();
  }
}

async function run(context: BenchContext): Promise<BenchResult> {
  const sizeMib = Math.min(context.quick ? QUICK_SIZE_MIB : SIZE_MIB, context.maxSizeMib);
  requireMemory(`two victims of ${sizeMib} MiB`, 3 * sizeMib);
  const stage = await Stage.open(context, { store: 'disk' });
  const pair = await Pair.start(context, stage, sizeMib);
  const samples = new Samples();
  try {
    for (let run = 1; run <= context.runs; run += 1) {
      const { plain, tracked, heldMs } = await pair.measure();
      const speeds = { plain: speed(plain, false), tracked: speed(tracked, true) };
      samples.add({ way: 'plain' }, { pages_per_s: speeds.plain, gap_ms: plain.gapMs });
      samples.add(
        { way: 'tracked' },
        { pages_per_s: speeds.tracked, gap_ms: tracked.gapMs, held_ms: heldMs },
      );
      context.say(`${run}: ${(speeds.plain / speeds.tracked).toFixed(3)} times slower outside the hold`);
    }
  } finally {
    await pair.end();
  }
  const speedOf = (way: string) => samples.median({ way }, 'pages_per_s');
  return { rows: samples.rows(), ratios: ratiosOf({ slowdown: [speedOf('plain'), speedOf('tracked')] }) };
}

export const overhead: Bench = {
  name: 'overhead',
  summary: 'slow-down of a memory-bound job with tracking armed and a checkpoint every 10 s',
  store: 'directory on disk',
  run,
};
