/** The main job, for everybody to see: `npm run demo`. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type CheckpointSummary, type Job, JobState } from '../../proto/gen/holdfast/v1/coordinator';
import { jobOutput } from '../harness/jobOutput';
import { Stack, USER } from '../harness/stack';
import { compileVictim } from '../harness/victims';
import { longestGap, readGaps } from './gaps';
import { type DemoOptions, parseDemoOptions, USAGE } from './options';
import { type GenerationRow, printTimeline } from './timeline';

const RANKS = 2;
const KILLED = 'node2';
const GENERATIONS_BEFORE_KILL = 3;
const startMs = Date.now();

const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`;

function say(text: string): void {
  process.stdout.write(`[${((Date.now() - startMs) / 1000).toFixed(1).padStart(6)} s] ${text}\n`);
}

async function until<T>(what: string, timeoutMs: number, look: () => Promise<T | null>): Promise<T> {
  for (const deadline = Date.now() + timeoutMs; Date.now() < deadline; await delay(200)) {
    const found = await look();
    if (found !== null) return found;
  }
  throw new Error(`${what}: not within ${timeoutMs / 1000} s`);
}

class Demo {
  private readonly output: string;
  private readonly gaps: string;
  private readonly program: string;
  private lastGeneration = 0;

  constructor(
    private readonly stack: Stack,
    private readonly options: DemoOptions,
  ) {
    this.output = join(stack.shared, 'job.out');
    this.gaps = join(stack.shared, 'gaps');
    this.program = compileVictim('mpi_series', stack.shared, 'mpicc.openmpi');
  }

  async run(): Promise<boolean> {
    const job = await this.submit();
    await this.generation(job, GENERATIONS_BEFORE_KILL);
    const killedAtMs = Date.now();
    await this.stack.node(KILLED).kill();
    say(`${KILLED} is killed: all its processes are gone, its link is down`);
    const restarted = await until('the job runs again', 90_000, async () => {
      const view = await this.job(job);
      return view.restartCount > 0 && view.state === JobState.RUNNING ? view : null;
    });
    const recoveryMs = Date.now() - killedAtMs;
    const nodes = [...new Set(restarted.trees.map((tree) => tree.node))];
    say(`the job runs again on ${nodes.join(' and ')}, from generation ${restarted.lastGeneration}`);
    const ended = await until('the job ends', 600_000, async () => {
      await this.follow(job);
      const view = await this.job(job);
      return view.endedMs > 0 ? view : null;
    });
    say(`the job has ended with exit code ${ended.exitCode}`);
    return this.report(job, ended, nodes, recoveryMs);
  }

  private async submit(): Promise<string> {
    const { memoryMib, iterations, everySeconds } = this.options;
    const mpirun = [
      'mpirun.openmpi',
      '--host',
      'node1,node2',
      '-n',
      String(RANKS),
      '--mca',
      'btl',
      'tcp,self',
    ];
    const program = [this.program, String(memoryMib), String(iterations), '20', this.gaps];
    const args = [
      ...['run', '--detach', '--nodes', 'node1,node2', '--every', `${everySeconds}s`, '--restart', 'any'],
      ...['--output', this.output, '--', ...mpirun, ...program],
    ];
    const result = await this.stack.holdfast(
      'node1',
      [...args.slice(0, 1), '--json', ...args.slice(1)],
      USER,
    );
    if (result.code !== 0) throw new Error(`submit: ${result.stderr}`);
    const { id } = (JSON.parse(result.stdout) as { job: { id: string } }).job;
    say(
      `job ${id}: ${RANKS} ranks of ${memoryMib} MiB on node1 and node2 over TCP, a checkpoint every ${everySeconds} s`,
    );
    return id;
  }

  private async job(id: string): Promise<Job> {
    const { job } = await (await this.stack.connection('node1')).call('getJob', { job: id });
    if (!job) throw new Error(`job ${id} is not known`);
    return job;
  }

  private async checkpoints(id: string): Promise<CheckpointSummary[]> {
    const { checkpoints } = await (await this.stack.connection('node1')).call('listCheckpoints', { job: id });
    return checkpoints.sort((a, b) => a.generation - b.generation);
  }

  /** Tells of generations committed since the last look. */
  private async follow(id: string): Promise<void> {
    for (const checkpoint of await this.checkpoints(id)) {
      if (checkpoint.generation <= this.lastGeneration) continue;
      this.lastGeneration = checkpoint.generation;
      const { generation, heldMs, capturedBytes, uploadedBytes } = checkpoint;
      const mib = (bytes: number) => `${(bytes / 2 ** 20).toFixed(0)} MiB`;
      say(
        `generation ${generation}: held ${heldMs} ms, captured ${mib(capturedBytes)}, uploaded ${mib(uploadedBytes)}`,
      );
    }
  }

  private async generation(id: string, number: number): Promise<void> {
    await until(`generation ${number}`, 120_000, async () => {
      await this.follow(id);
      const view = await this.job(id);
      if (view.state !== JobState.RUNNING)
        throw new Error(`the job is ${view.state}: ${view.reason}\n${this.stack.logs()}`);
      return this.lastGeneration >= number ? true : null;
    });
  }

  /** The same program without checkpoints and failures, on the node that is left. */
  private async uninterrupted(): Promise<string> {
    const { memoryMib, iterations } = this.options;
    say('the same job without interruption, for comparison');
    const argv = [
      'mpirun.openmpi',
      '-n',
      String(RANKS),
      '--oversubscribe',
      this.program,
      String(memoryMib),
      String(iterations),
      '0',
    ];
    const result = await this.stack
      .node('node3')
      .run(argv, { ...USER, cwd: this.stack.shared, timeoutMs: 600_000 });
    if (result.code !== 0) throw new Error(`the uninterrupted run failed: ${result.stderr}`);
    return result.stdout;
  }

  private async report(id: string, ended: Job, nodes: string[], recoveryMs: number): Promise<boolean> {
    const gaps = readGaps(this.gaps, RANKS);
    const generations = (await this.checkpoints(id)).map((one): GenerationRow => {
      const { generation, heldMs, capturedBytes, uploadedBytes, durationMs, createdMs } = one;
      const gapMs = longestGap(gaps, createdMs - durationMs, createdMs + heldMs + 1000);
      return { generation, heldMs, gapMs, capturedBytes, uploadedBytes, durationMs, nodes: one.nodes };
    });
    const expected = await this.uninterrupted();
    const actual = jobOutput(this.output);
    const identical = actual === expected && ended.exitCode === 0;
    printTimeline(generations);
    const place = (node: string) => ({ node, address: this.stack.cluster.node(node).address });
    const moved = nodes.find((node) => node !== 'node1' && node !== KILLED);
    const restartedOn = moved ? place(moved) : null;
    say(`restarted ${seconds(recoveryMs)} after the node's end, on ${moved} (${restartedOn?.address})`);
    say(`output of ${actual.split('\n').length - 1} lines: ${identical ? 'identical' : 'DIFFERENT'}`);
    if (this.options.jsonPath) {
      const result = {
        ...{ identical, killedNode: KILLED, original: place(KILLED), restartedOn, nodes: nodes.map(place) },
        ...{ recoveryMs, restarts: ended.restartCount, generations },
      };
      writeFileSync(this.options.jsonPath, `${JSON.stringify(result, null, 2)}\n`);
    }
    return identical && restartedOn !== null && generations.length >= GENERATIONS_BEFORE_KILL;
  }
}

async function main(): Promise<number> {
  const options = parseDemoOptions(process.argv.slice(2));
  if (options === null) {
    process.stdout.write(`${USAGE}\n`);
    return 0;
  }
  const stack = await Stack.start({
    ...{ nodes: ['node1', 'node2', 'node3'], store: 'rgw', leaseMs: 3000 },
    onStep: (text) => say(`start: ${text}`),
  });
  try {
    return (await new Demo(stack, options).run()) ? 0 : 1;
  } catch (error) {
    process.stderr.write(`${stack.logs(30)}\n`);
    throw error;
  } finally {
    await stack.stop();
  }
}

main().then(
  (code) => process.exit(code),
  (error: Error) => {
    process.stderr.write(`demo: ${error.message}\n`);
    process.exit(1);
  },
);
