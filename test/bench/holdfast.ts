/** Holdfast as its users have it: the command line, whose options are asked for before they are used. */
import { setTimeout as delay } from 'node:timers/promises';
import type { CheckpointSummary } from '../../proto/gen/holdfast/v1/coordinator';
import type { BenchContext } from './bench';
import type { Stage } from './stage';

const LOOK_EVERY_MS = 20;
const LIMIT_MS = 900_000;

export interface Taken {
  readonly summary: CheckpointSummary;
  readonly job: string;
  /** From the start of the command to its end. */
  readonly wallMs: number;
}

export class Holdfast {
  private readonly help = new Map<string, string>();

  constructor(
    private readonly stage: Stage,
    private readonly context: BenchContext,
  ) {}

  /** Whether the command has the option: builds differ, and a benchmark goes on without. */
  async has(command: string, option: string): Promise<boolean> {
    const help = this.help.get(command) ?? (await this.run([command, '--help'])).stdout;
    this.help.set(command, help);
    const known = help.includes(`${option} `) || help.includes(`${option}\n`);
    if (!known) this.context.say(`holdfast ${command} has no ${option} in this build: left out`);
    return known;
  }

  /** `subject`: a job, or a pid of the node. */
  async checkpoint(subject: string | number, flags: readonly string[] = []): Promise<Taken> {
    const startMs = performance.now();
    const { stdout } = await this.run(['checkpoint', String(subject), '--json', ...flags]);
    const wallMs = performance.now() - startMs;
    const { operation } = JSON.parse(stdout) as { operation: { summary: CheckpointSummary; job: string } };
    return { summary: operation.summary, job: operation.job, wallMs };
  }

  /** Until the job has ended. */
  async ended(job: string): Promise<void> {
    const connection = await this.stage.stack.connection(this.stage.nodeName);
    for (const deadline = Date.now() + LIMIT_MS; Date.now() < deadline; await delay(LOOK_EVERY_MS)) {
      if (((await connection.call('getJob', { job })).job?.endedMs ?? 0) > 0) return;
    }
    throw new Error(`${job} does not end`);
  }

  /** Runs the command to its end; a failure is an error with what it wrote. */
  async run(args: readonly string[]): Promise<{ stdout: string; stderr: string }> {
    const { stack, nodeName } = this.stage;
    const result = await stack.holdfast(nodeName, args, { timeoutMs: LIMIT_MS });
    if (result.code === 0) return result;
    throw new Error(`holdfast ${args.join(' ')}: ${result.code}\n${result.stderr}${stack.logs()}`);
  }
}
