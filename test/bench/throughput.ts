/** The first full checkpoint into an S3 server, against the pipeline one would write with CRIU, and against the limit. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Bench, BenchContext } from './bench';
import { CriuPeer } from './criu';
import { Holdfast } from './holdfast';
import { limitRate } from './limit';
import { measureRates, putOutput } from './limitRates';
import { type BenchResult, ratiosOf } from './result';
import { requireMemory } from './room';
import { Samples } from './samples';
import { Stage } from './stage';
import { BenchVictim } from './victim';

const SIZE_MIB = 2048;
const QUICK_SIZE_MIB = 64;
const SAMPLE_MIB = 256;
const SAME_CODEC = ['--compression', 'zstd', '--compression-level', '1'];

class Throughput {
  readonly samples = new Samples();
  private run = 0;

  constructor(
    private readonly context: BenchContext,
    private readonly stage: Stage,
    private readonly peer: CriuPeer,
    readonly sizeMib: number,
  ) {}

  async round(): Promise<void> {
    this.run += 1;
    await this.holdfast('holdfast', this.stage);
    await this.withVictim(this.stage, 'peer', async (victim) => {
      await this.pipeline(victim);
      await this.limit(victim);
    });
    await this.holdfast('holdfast zstd', this.stage.second);
  }

  private async holdfast(way: string, stage: Stage): Promise<void> {
    await this.withVictim(stage, way.replace(' ', '-'), async (victim) => {
      const { window, result } = await victim.during('idle', () =>
        new Holdfast(stage, this.context).checkpoint(victim.pid),
      );
      const { wallMs, summary } = result;
      const stored_mib = summary.uploadedBytes / 2 ** 20;
      this.add(way, wallMs, { stored_mib, gap_ms: window.gapMs });
    });
  }

  /** The images are on tmpfs: nothing else would be as fast. */
  private async pipeline(victim: BenchVictim): Promise<void> {
    const { stage } = this;
    const { window, result } = await victim.during('idle', async () => {
      const dumpMs = await this.peer.dump(victim.pid, this.images);
      const put = await putOutput(
        stage,
        `peer/${this.run}`,
        'tar -C "$0" -c . | zstd -1 -T0 -q',
        this.images,
      );
      return { tookMs: dumpMs + put.tookMs, stored_mib: put.bytes / 2 ** 20 };
    });
    this.add('criu, tar, zstd, put', result.tookMs, { stored_mib: result.stored_mib, gap_ms: window.gapMs });
  }

  private async limit(victim: BenchVictim): Promise<void> {
    const { stage } = this;
    const sample = join(stage.memory, 'sample');
    const bytes = String(Math.min(SAMPLE_MIB, this.sizeMib) * 2 ** 20);
    await stage.node.run([
      'sh',
      '-c',
      'head -c "$1" "$2"/pages-1.img > "$3"',
      'sh',
      bytes,
      this.images,
      sample,
    ]);
    rmSync(this.images, { recursive: true });
    const rates = await measureRates(stage, victim, sample);
    const mib = (rate: number) => rate / 2 ** 20;
    this.add('limit', (this.sizeMib * 2 ** 20 * 1000) / limitRate(rates), {
      copy_mib_per_s: mib(rates.copyPerCore),
      compress_mib_per_s: mib(rates.compressAll),
      put_mib_per_s: mib(rates.put),
      put_cpu_s_per_gib: rates.putCpuPerByte * 2 ** 30,
      stored_per_raw: rates.storedPerRaw,
    });
  }

  private add(way: string, took_ms: number, figures: Readonly<Record<string, number>>): void {
    const mib_per_s = (this.sizeMib * 1000) / took_ms;
    this.samples.add({ size_mib: this.sizeMib, way }, { mib_per_s, took_ms, ...figures });
    this.context.say(`${way}, ${this.run}: ${mib_per_s.toFixed(0)} MiB/s`);
  }

  private async withVictim(stage: Stage, name: string, use: (victim: BenchVictim) => Promise<void>) {
    const victim = await BenchVictim.start(stage, `${name}-${this.run}`, this.sizeMib);
    try {
      await use(victim);
    } finally {
      await victim.kill();
    }
  }

  private get images(): string {
    return join(this.stage.memory, 'images');
  }
}

async function run(context: BenchContext): Promise<BenchResult> {
  const sizeMib = Math.min(context.quick ? QUICK_SIZE_MIB : SIZE_MIB, context.maxSizeMib);
  requireMemory(`a victim of ${sizeMib} MiB, its images and a RADOS Gateway`, 2 * sizeMib + 2048);
  const stage = await Stage.open(context, { store: 'rgw', secondAgentFlags: SAME_CODEC });
  const throughput = new Throughput(context, stage, await CriuPeer.on(stage.node), sizeMib);
  for (let run = 1; run <= context.runs; run += 1) await throughput.round();
  const { samples } = throughput;
  const rate = (way: string) => samples.median({ size_mib: sizeMib, way }, 'mib_per_s');
  return {
    rows: samples.rows(),
    ratios: ratiosOf({
      rate_over_criu_pipeline: [rate('holdfast'), rate('criu, tar, zstd, put')],
      rate_over_limit: [rate('holdfast zstd'), rate('limit')],
    }),
  };
}

export const throughput: Bench = {
  name: 'throughput',
  summary: 'first full checkpoint to RGW, against criu + tar + zstd + PUT, and against the limit',
  store: 'RADOS Gateway',
  run,
};
