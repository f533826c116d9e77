/** A batch script with Holdfast in it, followed through the runs that Slurm makes of it. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { Brake, goesOn, linesAtLeast, until } from '../e2e/survival';
import { HEAD, readText, type Stack } from '../harness/stack';
import type { SlurmCluster } from './cluster';

/** Of a Slurm job, by the names of `scontrol show job`. */
type Fields = Readonly<Record<string, string>>;

export class Script {
  private constructor(
    private readonly slurm: SlurmCluster,
    readonly id: number,
    readonly output: string,
    private readonly brake: Brake,
  ) {}

  /**
   * Its programs pause between their steps until release(). What Holdfast tells goes to a file beside the output.
   * @param flags of sbatch
   */
  static async submit(
    stack: Stack,
    slurm: SlurmCluster,
    name: string,
    body: string,
    flags: readonly string[] = [],
  ): Promise<Script> {
    const brake = new Brake(stack, name);
    const files = [`--job-name=${name}`, `--output=${name}.out`, `--error=${name}.err`];
    const id = await slurm.submit(body, [...files, ...flags], brake.environment);
    return new Script(slurm, id, join(slurm.home, `${name}.out`), brake);
  }

  get errors(): string {
    const path = this.output.replace(/out$/, 'err');
    return existsSync(path) ? readText(path) : '';
  }

  lines(count: number): Promise<unknown> {
    return this.told(linesAtLeast(this.output, count));
  }

  goesOn(): Promise<unknown> {
    return this.told(goesOn(this.output));
  }

  /** Holdfast has said so, in this or an earlier run. */
  says(words: RegExp): Promise<unknown> {
    return this.told(until(String(words), () => (words.test(this.errors) ? true : null)));
  }

  /** The run with this number of restarts is there. */
  async restarted(restarts: number): Promise<Fields> {
    const run = until(`run ${restarts} of Slurm job ${this.id}`, async () => {
      const fields = await this.slurm.job(this.id);
      return fields.JobState === 'RUNNING' && fields.Restarts === String(restarts) ? fields : null;
    });
    return this.told(run);
  }

  /** Moves its end: time limits are whole minutes, this is not. */
  async endIn(seconds: number): Promise<void> {
    const end = new Date(Date.now() + seconds * 1000 - new Date().getTimezoneOffset() * 60_000);
    const text = end.toISOString().slice(0, 19);
    await this.slurm.must(HEAD, ['scontrol', 'update', `JobId=${this.id}`, `EndTime=${text}`]);
  }

  release(): void {
    this.brake.release();
  }

  async end(...states: string[]): Promise<Fields> {
    this.release();
    return this.told(this.slurm.jobIn(this.id, states, 60_000));
  }

  private async told<T>(waiting: Promise<T>): Promise<T> {
    return waiting.catch((error: Error) => {
      const printed = existsSync(this.output) ? readText(this.output).slice(-500) : 'nothing';
      throw new Error(`${error.message}\n${this.errors}\nit printed: ${printed}`);
    });
  }
}
