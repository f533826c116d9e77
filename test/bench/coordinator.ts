/** The coordinator under the load of a cluster: how long barriers take, what it needs, and whether schedules are kept. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Job } from '../../proto/gen/holdfast/v1/coordinator';
import type { SimulationEvent } from '../simulator/barriers';
import type { Bench, BenchContext } from './bench';
import { interleaved, jobSizes, placements, startJob } from './load';
import { LoadCluster } from './loadCluster';
import { type BenchResult, ratiosOf } from './result';
import { requireMemory } from './room';
import { Samples } from './samples';
import { percentile } from './statistics';
import { missedTicks } from './ticks';

const AGENTS = [100, 1000, 5000];
const QUICK_AGENTS = [20];
/** Of which the ratios are. */
const TARGET_AGENTS = 1000;
const INTERVAL_MS = 60_000;
const QUICK_INTERVAL_MS = 2_000;
/** Of the agents; an upload takes ten times as long, and a checkpoint has to be over when the next one is due. */
const PACE_MS = 200;
const QUICK_PACE_MS = 50;
/** Simulator, coordinator and Redis, without what does not grow. */
const MIB_PER_AGENT = 1;
const START_EVERY = 10;

/** All rounds of one number of agents. */
interface Total {
  readonly barriersMs: number[];
  rssMib: number;
  missed: number;
}

class Load {
  private constructor(
    private readonly context: BenchContext,
    private readonly cluster: LoadCluster,
    private readonly intervalMs: number,
    /** In the table. */
    private readonly subject: Readonly<Record<string, number>>,
  ) {}

  static async start(context: BenchContext, agents: number): Promise<Load> {
    const intervalMs = context.quick ? QUICK_INTERVAL_MS : INTERVAL_MS;
    const cluster = await LoadCluster.start(agents, context.quick ? QUICK_PACE_MS : PACE_MS);
    context.atEnd(() => cluster.stop());
    const sizes = jobSizes(agents);
    const trees = sizes.reduce((sum, size) => sum + size, 0);
    context.say(`${agents} agents are registered; starting ${sizes.length} jobs with ${trees} trees`);
    const jobs = placements(interleaved(sizes), agents);
    for (const [index, nodes] of jobs.entries()) {
      await startJob(cluster.connection, nodes, intervalMs);
      if ((index + 1) % Math.ceil(jobs.length / START_EVERY) === 0)
        context.say(`${index + 1} jobs run on ${agents} agents`);
    }
    // Until every schedule has ticked: from then on the load is even.
    await delay(intervalMs);
    return new Load(context, cluster, intervalMs, { agents, jobs: sizes.length, trees });
  }

  /** A round is an interval of all schedules. One more tells whether the last ticks were kept. */
  async measure(samples: Samples): Promise<Total> {
    const { cluster, context, intervalMs, subject } = this;
    const { jobs } = await cluster.connection.call('listJobs', { all: false });
    const begins = cluster.events.length;
    const total: Total = { barriersMs: [], rssMib: 0, missed: 0 };
    for (let run = 1; run <= context.runs; run += 1) {
      const figures = await this.round();
      total.barriersMs.push(...figures.barriersMs);
      total.rssMib = cluster.figures.peakMib();
      const [p50, p99] = [0.5, 0.99].map((part) => percentile(figures.barriersMs, part));
      samples.add(subject, {
        ...{ barrier_p99_ms: p99 ?? 0, barrier_p50_ms: p50 ?? 0, checkpoints: figures.barriersMs.length },
        ...{ rss_mib: total.rssMib, redis_rss_mib: cluster.redisFigures.peakMib() },
        ...{ cpu_percent: figures.cpu, waited_percent: figures.waited },
      });
      context.say(
        `${subject.agents} agents, ${run}: ${figures.barriersMs.length} barriers, p99 ${p99?.toFixed(0)} ms, ` +
          `peak ${total.rssMib.toFixed(0)} MiB, ${figures.cpu.toFixed(0)} % of a core, waited for one ${figures.waited.toFixed(0)} %`,
      );
    }
    await delay(intervalMs);
    const seen = cluster.events.slice(begins);
    total.missed = this.missed(jobs, seen);
    samples.add(subject, { missed_ticks: total.missed, went_wrong: this.wrong(seen) });
    return total;
  }

  stop(): Promise<void> {
    return this.cluster.stop();
  }

  /** @param jobs as they were when the first event was seen */
  private missed(jobs: readonly Job[], events: readonly SimulationEvent[]): number {
    const begun = new Map(jobs.map(({ id }) => [id, [] as number[]]));
    for (const told of events) if (told.event === 'begun') begun.get(told.job)?.push(told.timeMs);
    const { intervalMs } = this;
    const endMs = Date.now();
    let missed = 0;
    for (const { id, schedule } of jobs) {
      if (schedule === undefined) throw new Error(`job ${id} has no schedule`);
      const ticks = { firstDueMs: schedule.dueMs, intervalMs };
      missed += missedTicks(ticks, begun.get(id) ?? [], endMs);
    }
    return missed;
  }

  private async round(): Promise<{ barriersMs: number[]; cpu: number; waited: number }> {
    const { cluster, intervalMs } = this;
    const { figures } = cluster;
    const begins = cluster.events.length;
    const [beginMs, cpuMs, waitedMs] = [performance.now(), figures.cpuMs(), figures.waitedMs()];
    await delay(intervalMs);
    const percent = (ms: number) => (100 * ms) / (performance.now() - beginMs);
    const [cpu, waited] = [percent(figures.cpuMs() - cpuMs), percent(figures.waitedMs() - waitedMs)];
    const seen = cluster.events.slice(begins);
    const barriersMs = seen.flatMap((told) => (told.event === 'barrier' ? [told.barrierMs] : []));
    return { cpu, waited, barriersMs };
  }

  /** Checkpoints that were aborted, and nodes whose lease ended. */
  private wrong(events: readonly SimulationEvent[]): number {
    const broken = events.find(({ event }) => event === 'broken');
    if (broken !== undefined) throw new Error(`B1 was broken: ${JSON.stringify(broken)}`);
    const wrong = events.filter(({ event }) => event === 'aborted' || event === 'leaseLost');
    if (wrong.length > 0) this.context.say(`went wrong first: ${JSON.stringify(wrong[0])}`);
    return wrong.length;
  }
}

async function run(context: BenchContext): Promise<BenchResult> {
  const sizes = context.agents !== null ? [context.agents] : context.quick ? QUICK_AGENTS : AGENTS;
  requireMemory(`a cluster of ${Math.max(...sizes)} agents`, MIB_PER_AGENT * Math.max(...sizes));
  const samples = new Samples();
  const totals = new Map<number, Total>();
  for (const agents of sizes) {
    const load = await Load.start(context, agents);
    totals.set(agents, await load.measure(samples));
    await load.stop();
  }
  const target = totals.get(TARGET_AGENTS);
  return {
    rows: samples.rows(),
    ratios: ratiosOf({
      barrier_p99_ms_1000: [target && percentile(target.barriersMs, 0.99), 1],
      coordinator_rss_mib_1000: [target?.rssMib, 1],
      missed_ticks: [target?.missed, 1],
    }),
  };
}

export const coordinator: Bench = {
  name: 'coordinator',
  summary: 'barriers, memory and schedules of a coordinator with 100, 1,000 and 5,000 simulated agents',
  store: 'directory on disk',
  run,
};
