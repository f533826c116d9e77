/** What Holdfast wants of a Slurm configuration. Pure: a configuration in, findings out. */
import { type SlurmConfiguration, secondsOf, settingOf } from '../../../core/slurm/configuration';

export interface SiteFinding {
  readonly setting: string;
  /** What it is now; empty: not set. */
  readonly value: string;
  /** ok: as it should be; advice: works, but less well; missing: something does not work. */
  readonly verdict: 'ok' | 'advice' | 'missing';
  /** What comes of it. */
  readonly why: string;
  /** What to write; empty when it is ok. */
  readonly line: string;
}

interface Rule {
  readonly setting: string;
  /** Left out where it does not matter. */
  readonly matters?: (configuration: SlurmConfiguration) => boolean;
  readonly isGood: (value: string, hooks: InstalledHooks) => boolean;
  readonly failing: 'advice' | 'missing';
  readonly why: string;
  readonly line: (value: string, directory: string) => string;
}

/** What was found in the files that the configuration names. */
export interface InstalledHooks {
  /** Does a program that is configured as a hook run Holdfast's? */
  readonly isOurs: (path: string) => boolean;
  /** Text of the file of plug-ins, with what it includes. */
  readonly plugStack: string;
}

const has = (value: string, item: string): boolean => value.toLowerCase().split(',').includes(item);
const without = (value: string, items: readonly string[]): string[] =>
  value.split(',').filter((item) => item !== '' && !items.includes(item.toLowerCase()));

const hook = (setting: string, name: string, why: string): Rule => ({
  setting,
  isGood: (value, { isOurs }) => value.split(',').some(isOurs),
  failing: 'advice',
  why,
  line: (value, directory) =>
    value === ''
      ? `${setting}=${directory}/${name}`
      : `call ${directory}/${name} in ${value.split(',')[0]}, and ignore its exit code`,
});

const RULES: readonly Rule[] = [
  {
    setting: 'ProctrackType',
    isGood: (value) => value === 'proctrack/cgroup',
    failing: 'missing',
    why: 'restarted processes are in the step only by its control group: else scancel would not end them',
    line: () => 'ProctrackType=proctrack/cgroup',
  },
  {
    setting: 'TaskPlugin',
    isGood: (value) => has(value, 'task/cgroup') || has(value, 'cgroup'),
    failing: 'advice',
    why: 'limits of memory and processors hold for restarted processes, too',
    line: (value) => `TaskPlugin=${['task/cgroup', ...without(value, ['task/none'])].join(',')}`,
  },
  {
    setting: 'JobRequeue',
    isGood: (value) => value === '' || value === '1',
    failing: 'advice',
    why: 'jobs go on by themselves after a lost node, a pre-emption and their time limit; else each needs --requeue',
    line: () => 'JobRequeue=1',
  },
  {
    setting: 'PreemptMode',
    matters: (configuration) => !['', 'preempt/none'].includes(settingOf(configuration, 'PreemptType')),
    isGood: (value) => has(value, 'requeue'),
    failing: 'advice',
    why: 'a pre-empted job is checkpointed in its GraceTime and goes on later',
    line: (value) => `PreemptMode=${['REQUEUE', ...(has(value, 'gang') ? ['GANG'] : [])].join(',')}`,
  },
  {
    setting: 'SlurmdTimeout',
    isGood: (value) => (secondsOf(value) ?? 300) > 0 && (secondsOf(value) ?? 300) <= 120,
    failing: 'advice',
    why: 'jobs of a dead node wait as long before they go on elsewhere',
    line: () => 'SlurmdTimeout=60',
  },
  {
    setting: 'JobFileAppend',
    isGood: (value) => value === '1',
    failing: 'advice',
    why: 'the output file of a requeued job keeps what it had; else each needs --open-mode=append',
    line: () => 'JobFileAppend=1',
  },
  hook('Prolog', 'prolog', 'agents know of jobs from their first step on'),
  hook('Epilog', 'epilog', 'agents know that a job has ended'),
  hook('TaskProlog', 'task-prolog', 'tasks of plain srun steps are checkpointed when --holdfast asks for it'),
  hook('PrologSlurmctld', 'prolog-slurmctld', 'the coordinator knows of each job when it gets its nodes'),
  hook('EpilogSlurmctld', 'epilog-slurmctld', 'the coordinator looks at once, not within ten seconds'),
  {
    setting: 'PlugStackConfig',
    isGood: (_, { plugStack }) => /^\s*(required|optional)\s+\S*holdfast-spank\.so\b/m.test(plugStack),
    failing: 'advice',
    why: 'sbatch, srun and salloc have the option --holdfast',
    line: (value, directory) => `in ${value || 'plugstack.conf'}: optional ${directory}/holdfast-spank.so`,
  },
];

/** @param directory where `holdfast slurm install` puts its files */
export function checkSite(
  configuration: SlurmConfiguration,
  hooks: InstalledHooks,
  directory: string,
): SiteFinding[] {
  return RULES.filter(({ matters }) => matters?.(configuration) ?? true).map((rule) => {
    const { setting, why } = rule;
    const value = settingOf(configuration, setting);
    const isGood = rule.isGood(value, hooks);
    const verdict = isGood ? 'ok' : rule.failing;
    return { setting, value, verdict, why, line: isGood ? '' : rule.line(value, directory) };
  });
}
