/** Time from the request for a restart to the first progress of the process, and until all of its memory is there. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Bench, BenchContext } from './bench';
import { CriuPeer } from './criu';
import { Holdfast } from './holdfast';
import { type BenchResult, ratiosOf } from './result';
import { requireMemory } from './room';
import { Samples } from './samples';
import { Stage } from './stage';
import { BenchVictim, PAGES_PER_MIB } from './victim';

const SIZES_MIB = [1024, 4096];
const QUICK_SIZES_MIB = [64];
const PAGES_PER_SECOND = 5120;

interface Way {
  readonly name: string;
  /** Resolves when the command has ended. */
  begin(): Promise<void>;
  /** Ends the restarted process, in whatever it is contained. */
  end(): Promise<void>;
}

class Restart {
  readonly samples = new Samples();

  constructor(
    private readonly context: BenchContext,
    private readonly stage: Stage,
    private readonly holdfast: Holdfast,
    private readonly peer: CriuPeer,
  ) {}

  async size(sizeMib: number): Promise<void> {
    // The images, half as much in the store, and the process itself.
    requireMemory(`a restart of ${sizeMib} MiB`, 2.75 * sizeMib);
    this.context.say(`a victim of ${sizeMib} MiB`);
    const victim = await BenchVictim.start(this.stage, `victim-${sizeMib}`, sizeMib);
    const ways = await this.capture(victim);
    for (let run = 1; run <= this.context.runs; run += 1) {
      for (const way of ways) await this.measure(victim, way, run);
    }
  }

  /** Captures with both, ends the victim, and says how it can be brought back. */
  private async capture(victim: BenchVictim): Promise<Way[]> {
    const { holdfast, stage } = this;
    await victim.tell({ pagesPerSecond: PAGES_PER_SECOND });
    const images = join(stage.memory, 'images');
    mkdirSync(images, { recursive: true });
    await this.peer.dump(victim.pid, images);
    const { summary, job } = await holdfast.checkpoint(victim.pid);
    await victim.kill();
    await stage.pidFree(victim.pid);
    const way = (name: string, ...flags: string[]): Way => ({
      name,
      begin: async () => {
        const command = ['restart', String(summary.ckptId), '--nodes', stage.nodeName, '--detach', ...flags];
        await holdfast.run(command);
      },
      end: async () => {
        await holdfast.run(['kill', job, '--signal', 'KILL']);
        await holdfast.ended(job);
      },
    });
    const restored = async () => {
      await stage.node.run(['kill', '-KILL', String(victim.pid)]);
      await stage.pidFree(victim.pid);
    };
    return [
      {
        name: 'criu from tmpfs',
        begin: async () => {
          await this.peer.restore(images);
        },
        end: restored,
      },
      way('eager'),
      ...((await holdfast.has('restart', '--lazy')) ? [way('lazy', '--lazy')] : []),
    ];
  }

  private async measure(victim: BenchVictim, way: Way, run: number): Promise<void> {
    victim.forget();
    const startMs = performance.now();
    const sinceStart = () => performance.now() - startMs;
    const command = way.begin().then(sinceStart);
    command.catch(() => {}); // met below
    const first_ms = await Promise.race([victim.progressed().then(sinceStart), failing(command)]);
    const returned_ms = await command;
    const complete_ms = Math.max(first_ms, await this.complete(victim, sinceStart));
    await victim.verify();
    const figures = { first_ms, complete_ms, returned_ms };
    this.samples.add({ size_mib: victim.sizeMib, way: way.name }, figures);
    const told = `first progress after ${first_ms.toFixed(0)} ms, complete after ${complete_ms.toFixed(0)} ms`;
    this.context.say(`${victim.sizeMib} MiB, ${way.name}, ${run}: ${told}`);
    await way.end();
  }

  /** When all its pages are there. */
  private async complete(victim: BenchVictim, sinceStart: () => number): Promise<number> {
    await this.stage.resident('dirtier', victim.sizeMib * PAGES_PER_MIB);
    return sinceStart();
  }
}

/** Fails when the command fails; else it never ends. */
const failing = (command: Promise<unknown>): Promise<never> =>
  new Promise((_, reject) => {
    command.catch(reject);
  });

async function run(context: BenchContext): Promise<BenchResult> {
  const sizes = (context.quick ? QUICK_SIZES_MIB : SIZES_MIB).filter((size) => size <= context.maxSizeMib);
  requireMemory('the largest restart', 2.75 * Math.max(...sizes));
  const stage = await Stage.open(context, { store: 'memory' });
  const peer = await CriuPeer.on(stage.node);
  const restart = new Restart(context, stage, new Holdfast(stage, context), peer);
  for (const size of sizes) await restart.size(size);
  const figure = (way: string, name: string) => restart.samples.median({ size_mib: 4096, way }, name);
  const criu = 'criu from tmpfs';
  return {
    rows: restart.samples.rows(),
    ratios: ratiosOf({
      lazy_first_progress_over_criu: [figure('lazy', 'first_ms'), figure(criu, 'first_ms')],
      // Rates of the same bytes: the longer time is the lower rate.
      eager_rate_over_criu: [figure(criu, 'complete_ms'), figure('eager', 'complete_ms')],
    }),
  };
}

export const restart: Bench = {
  name: 'restart',
  summary: 'time to first progress and to complete memory, eager and lazy, against criu restore',
  store: 'directory on tmpfs',
  run,
};
