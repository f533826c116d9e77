/** The options of commands that start a job. */
import type { Command } from 'commander';
import type { RetentionPolicy } from '../../proto/gen/holdfast/v1/manifest';
import type { JsonOption, SocketOption } from '../options';
import { parsePolicy } from '../policy';
import { parseChoice, parseCount, parseEvery, parseInterval, parseMoment } from '../values';
import { LIVE_CHOICES, LIVE_FLAGS, LIVE_HELP, type LiveChoice } from './live';
import type { RestartChoice, ScheduleOptions } from './spec';

/** Those that `run` and `mpirun` have in common. */
export interface JobOptions extends SocketOption, JsonOption, ScheduleOptions {
  readonly name?: string;
  readonly live?: LiveChoice;
  readonly keep?: RetentionPolicy;
  readonly account?: string;
  readonly maxRestarts?: number;
  readonly output?: string;
  /** In a Slurm job. */
  readonly resume?: string;
}

export interface RunOptions extends JobOptions {
  readonly nodes?: string[];
  readonly node?: string;
  readonly restart?: RestartChoice;
  readonly restartBackoff?: number;
  readonly detach?: boolean;
  readonly slurm: boolean;
}

export interface MpirunOptions extends JobOptions {
  /** The launcher. */
  readonly mpirun: string;
}

export function addJobOptions(command: Command): Command {
  return command
    .option('--name <name>', 'name to show (default: the command)')
    .option(
      '--every <interval>',
      'take a checkpoint this often: 30s, 10m; auto: as cost and failures suggest',
      parseEvery,
    )
    .option('--cron <pattern>', 'take a checkpoint at these times: "0 */2 * * *"')
    .option('--time-zone <zone>', "of --cron: Europe/Berlin (default: this machine's)")
    .option(
      '--walltime <duration>',
      'the job ends after this long: take a last checkpoint before',
      parseInterval,
    )
    .option('--deadline <time>', 'the same for a moment: 2030-12-31T18:00, or Unix seconds', parseMoment)
    .option('--keep <policy>', 'which checkpoints are kept: 3, or last=3,daily=7,end=14d', parsePolicy)
    .option('--account <account>', "what its stored bytes are put down to (default: its Slurm job's account)")
    .option(LIVE_FLAGS, LIVE_HELP, parseChoice(LIVE_CHOICES))
    .option(
      '--max-restarts <n>',
      'automatic restarts at most (default: 3); in Slurm: requeues (default: 100)',
      parseCount,
    )
    .option('--output <file>', 'where stdout and stderr of the job go (default: a new file here)')
    .option('--resume <job>', 'in Slurm: go on with this job; auto: with the newest of the same command');
}
