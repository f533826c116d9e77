/** The gap that a process sees at a checkpoint, against CRIU by itself. */
import { join } from 'node:path';
import type { Bench, BenchContext } from './bench';
import { CriuPeer } from './criu';
import { Holdfast } from './holdfast';
import { type BenchResult, type Row, ratiosOf } from './result';
import { requireDisk, requireMemory } from './room';
import { Samples } from './samples';
import { Stage } from './stage';
import { BenchVictim, type Mode, PAGES_PER_MIB } from './victim';

const SIZES_MIB = [256, 1024, 4096];
const QUICK_SIZES_MIB = [32, 64];
const DIRTY_SHARE = 0.05;
/** The same for every size: the time between two checkpoints follows from it. */
const PAGES_PER_SECOND = 5120;

/** What a generation stores when everything is written all the time: one has rounds for nothing, the others know better. */
const COPIES = 2;
const STORED = 0.55;

/** One way to take a checkpoint; each is measured in turn with the others. */
interface Way {
  readonly name: string;
  take(victim: BenchVictim): Promise<Row>;
}

async function holdfastWays(holdfast: Holdfast): Promise<Way[]> {
  const way = (name: string, ...flags: string[]): Way => ({
    name,
    take: async ({ pid }) => {
      const { summary, wallMs } = await holdfast.checkpoint(pid, flags);
      const mib = (bytes: number) => bytes / 2 ** 20;
      return {
        held_ms: summary.heldMs,
        took_ms: wallMs,
        captured_mib: mib(summary.capturedBytes),
        uploaded_mib: mib(summary.uploadedBytes),
      };
    },
  });
  const hasLive = await holdfast.has('checkpoint', '--live');
  const never = hasLive ? ['--live', 'never'] : [];
  return [way('precopy', ...never), ...(hasLive ? [way('live', '--live', 'always')] : [])];
}

const criuWay = (name: string, peer: CriuPeer, images: string): Way => ({
  name,
  take: async ({ pid }) => ({ took_ms: await peer.dump(pid, images) }),
});

/** One size, one mode of writing, all ways in turn. `pages`: written between two checkpoints. */
async function measure(
  context: BenchContext,
  {
    victim,
    mode,
    pages,
    ways,
    load,
  }: {
    readonly victim: BenchVictim;
    readonly mode: Mode;
    readonly pages: number;
    readonly ways: readonly Way[];
    readonly load: string;
  },
): Promise<Samples> {
  const samples = new Samples();
  const size = { load, size_mib: victim.sizeMib };
  for (let run = 1; run <= context.runs; run += 1) {
    for (const way of ways) {
      await victim.written(pages);
      const before = await victim.tell(mode);
      samples.add({ ...size, way: 'none' }, { gap_ms: before.gapMs });
      const { window, result } = await victim.during(mode, () => way.take(victim));
      samples.add({ ...size, way: way.name }, { gap_ms: window.gapMs, ...result });
      context.say(`${load}, ${victim.sizeMib} MiB, ${way.name}, ${run}: gap ${window.gapMs.toFixed(0)} ms`);
    }
  }
  return samples;
}

class Stall {
  constructor(
    private readonly context: BenchContext,
    private readonly stage: Stage,
    private readonly ways: readonly Way[],
    private readonly peers: readonly Way[],
  ) {}

  async size(sizeMib: number, isLargest: boolean): Promise<Samples[]> {
    const { context, stage } = this;
    const copies = isLargest ? 3 : 2;
    requireMemory(`a victim of ${sizeMib} MiB with images and a snapshot in memory`, copies * sizeMib);
    context.say(`a victim of ${sizeMib} MiB`);
    const victim = await BenchVictim.start(stage, `victim-${sizeMib}`, sizeMib);
    try {
      const rate = { pagesPerSecond: PAGES_PER_SECOND };
      await victim.tell(rate);
      const [first] = this.ways;
      const { window } = await victim.during(rate, async () => first?.take(victim));
      context.say(`${sizeMib} MiB, first generation: gap ${window.gapMs.toFixed(0)} ms`);
      const found: Samples[] = [];
      if (context.load !== '100') found.push(await this.share(victim));
      if (context.load !== '5' && isLargest) found.push(...(await this.everything(victim)));
      return found;
    } finally {
      await victim.kill();
    }
  }

  /** A constant rate, and a checkpoint whenever so much was rewritten. */
  private share(victim: BenchVictim): Promise<Samples> {
    const ways = this.ways.flatMap((way, i) => [way, ...this.peers.slice(i, i + 1)]);
    const missing = this.peers.slice(this.ways.length);
    return measure(this.context, {
      ...{ victim, mode: { pagesPerSecond: PAGES_PER_SECOND }, load: '5 %' },
      pages: Math.ceil(DIRTY_SHARE * victim.sizeMib * PAGES_PER_MIB),
      ways: [...ways, ...missing],
    });
  }

  /** All pages rewritten in a loop: pre-copy gains nothing, the whole memory is the residual. */
  private async everything(victim: BenchVictim): Promise<Samples[]> {
    const { ways } = this;
    if (!ways.some(({ name }) => name === 'live')) return [];
    const generations = ways.length * this.context.runs;
    requireDisk(
      this.stage.disk,
      `${generations} generations`,
      generations * COPIES * STORED * victim.sizeMib,
    );
    await victim.tell('loop');
    const pages = victim.sizeMib * PAGES_PER_MIB;
    return [await measure(this.context, { victim, mode: 'loop', pages, ways, load: '100 %' })];
  }
}

async function run(context: BenchContext): Promise<BenchResult> {
  const given = (context.quick ? QUICK_SIZES_MIB : SIZES_MIB).filter((size) => size <= context.maxSizeMib);
  const sizes = context.load === '100' ? given.slice(-1) : given;
  requireMemory('the largest victim with its images', 2 * Math.max(...sizes));
  const stage = await Stage.open(context, { store: 'disk' });
  const peer = await CriuPeer.on(stage.node);
  const stall = new Stall(context, stage, await holdfastWays(new Holdfast(stage, context)), [
    criuWay('criu to tmpfs', peer, join(stage.memory, 'images')),
    criuWay('criu to disk', peer, join(stage.disk, 'images')),
  ]);
  const all: Samples[] = [];
  for (const size of sizes) all.push(...(await stall.size(size, size === Math.max(...sizes))));
  const gap = (load: string, sizeMib: number, way: string) =>
    all.flatMap((samples) => samples.median({ load, size_mib: sizeMib, way }, 'gap_ms') ?? [])[0];
  return {
    rows: all.flatMap((samples) => samples.rows()),
    ratios: ratiosOf({
      gap_precopy_over_criu_4gib: [gap('5 %', 4096, 'precopy'), gap('5 %', 4096, 'criu to tmpfs')],
      gap_precopy_4gib_over_256mib: [gap('5 %', 4096, 'precopy'), gap('5 %', 256, 'precopy')],
      gap_live_over_copy_4gib: [gap('100 %', 4096, 'live'), gap('100 %', 4096, 'precopy')],
    }),
  };
}

export const stall: Bench = {
  name: 'stall',
  summary: 'the longest gap a process sees at a checkpoint, against criu dump',
  store: 'directory on disk',
  run,
};
