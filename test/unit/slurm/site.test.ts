/** What a site's configuration lacks, and with which words that is said. */
import { checkSite } from '../../../cli/slurm/site/checks';
import { parseConfiguration } from '../../../core/slurm/configuration';

const NO_HOOKS = { isOurs: () => false, plugStack: '' };
const ALL_HOOKS = { isOurs: () => true, plugStack: 'optional /opt/holdfast-spank.so' };

const verdicts = (text: string, hooks = ALL_HOOKS): Record<string, string> =>
  Object.fromEntries(
    checkSite(parseConfiguration(text), hooks, '/opt').map(({ setting, verdict }) => [setting, verdict]),
  );
const lineOf = (text: string, setting: string): string | undefined =>
  checkSite(parseConfiguration(text), NO_HOOKS, '/opt').find((finding) => finding.setting === setting)?.line;

const GOOD = `
ProctrackType           = proctrack/cgroup
TaskPlugin              = task/affinity,task/cgroup
JobRequeue              = 1
PreemptType             = preempt/partition_prio
PreemptMode             = GANG,REQUEUE
SlurmdTimeout           = 60 sec
JobFileAppend           = 1
Prolog[0]               = /opt/prolog
Epilog                  = /opt/epilog
TaskProlog              = /opt/task-prolog
PlugStackConfig         = /etc/slurm/plugstack.conf
`;

test('a configuration that has everything is all ok', () => {
  expect(new Set(Object.values(verdicts(GOOD)))).toEqual(new Set(['ok']));
});

test('what does not work without is missing, what works less well is advice', () => {
  const text = GOOD.replace('proctrack/cgroup', 'proctrack/linuxproc').replace('60 sec', '300 sec');
  expect(verdicts(text)).toMatchObject({
    ProctrackType: 'missing',
    SlurmdTimeout: 'advice',
    JobRequeue: 'ok',
  });
  expect(verdicts('')).toMatchObject({ ProctrackType: 'missing', JobRequeue: 'ok', JobFileAppend: 'advice' });
});

test('pre-emption matters only where there is some', () => {
  expect(verdicts('PreemptType=preempt/none')).not.toHaveProperty('PreemptMode');
  expect(lineOf('PreemptType=preempt/qos\nPreemptMode=GANG,SUSPEND', 'PreemptMode')).toBe(
    'PreemptMode=REQUEUE,GANG',
  );
});

test('the line to write keeps what is there', () => {
  expect(lineOf('TaskPlugin=task/affinity', 'TaskPlugin')).toBe('TaskPlugin=task/cgroup,task/affinity');
  expect(lineOf('', 'Prolog')).toBe('Prolog=/opt/prolog');
  expect(lineOf('Prolog=/etc/slurm/prolog.sh', 'Prolog')).toBe(
    'call /opt/prolog in /etc/slurm/prolog.sh, and ignore its exit code',
  );
});

test('slurm.conf is read as Slurm reads it', () => {
  const text = 'jobrequeue=1 # yes\n#Prolog=/no\nNodeName=n1 CPUs=4\nPrologFlags=Alloc\nEpilog=(null)';
  expect([...parseConfiguration(text)]).toEqual([
    ['jobrequeue', '1'],
    ['prologflags', 'Alloc'],
  ]);
});
