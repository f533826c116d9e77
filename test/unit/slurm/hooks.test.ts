/** What hooks tell, kept until the coordinator has it. */
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pino from 'pino';
import { keyOf, recordAfter } from '../../../agent/slurm/register';
import { SlurmReports } from '../../../agent/slurm/reports';
import { isHoldfast, taskStart } from '../../../agent/slurm/tasks';
import { type HookMessage, parseHookMessage } from '../../../core/slurm/message';
import type { SlurmRecord } from '../../../proto/gen/holdfast/v1/coordinator';

const message = (event: string, more: object = {}): HookMessage => {
  const fields = { event, cluster: 'c', jobId: '12', uid: '2001', user: 'alice', nodeList: 'n[1-2]' };
  const parsed = parseHookMessage(JSON.stringify({ ...fields, ...more }));
  if (parsed === null) throw new Error(`not a message: ${event}`);
  return parsed;
};

test.each([
  'nothing',
  '{}',
  '{"event":"prolog","jobId":"0"}',
  '{"event":"prolog","jobId":"-1"}',
  '{"event":"reboot","jobId":"1"}',
  '{"event":"prolog","jobId":"1","cluster":"../x"}',
])('%s is no message', (line) => {
  expect(parseHookMessage(line)).toBeNull();
});

test('a prolog that was heard is no reason to say anything; one that was not is told by the epilog', () => {
  const known = recordAfter(new Map(), message('prolog'), 100);
  expect(known).toMatchObject({
    jobId: 12,
    registeredMs: 100,
    endedMs: 0,
    untracked: '',
    nodeList: 'n[1-2]',
  });
  const register = new Map([['c/12/0', known as SlurmRecord]]);
  expect(recordAfter(register, message('epilog'), 200)).toMatchObject({
    registeredMs: 100,
    endedMs: 200,
    untracked: '',
  });
  expect(recordAfter(new Map(), message('epilog'), 200)?.untracked).toMatch(/^its prolog was not heard/);
  const missed = message('prolog', { missedMs: '50', why: 'no agent runs' });
  expect(recordAfter(new Map(), missed, 200)).toMatchObject({
    heardMs: 50,
    untracked: 'its prolog was not heard: no agent runs',
  });
});

test('another run of the same job is another record', () => {
  expect(keyOf(message('prolog', { restartCount: '1' }))).not.toBe(keyOf(message('prolog')));
});

describe('reports', () => {
  let directory: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'hf-hooks-'));
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  /** A coordinator that is away until it is told to answer. */
  function open(isThere: { value: boolean }) {
    const sent: SlurmRecord[] = [];
    const send = async (records: SlurmRecord[]) => {
      if (!isThere.value) throw new Error('away');
      sent.push(...records);
    };
    return { sent, reports: new SlurmReports({ directory, log: pino({ level: 'silent' }), send }) };
  }

  test('survive a restart of the agent while the coordinator is away, and are told once', async () => {
    const isThere = { value: false };
    const before = open(isThere);
    before.reports.heard(message('prolog'));
    before.reports.close();
    isThere.value = true;
    const after = open(isThere);
    await new Promise(setImmediate);
    after.reports.close();
    expect(after.sent).toMatchObject([{ jobId: 12, user: 'alice' }]);
    const later = open(isThere);
    await new Promise(setImmediate);
    later.reports.close();
    expect(later.sent).toEqual([]);
  });

  test('take what nobody heard, and believe only whole lines about the node', async () => {
    const path = join(directory, 'missed-hooks');
    const missed = {
      event: 'prolog',
      cluster: 'c',
      jobId: '7',
      uid: '5',
      missedMs: '9',
      why: 'no agent runs',
    };
    const task = { ...missed, jobId: '8', event: 'task-prolog' };
    writeFileSync(
      path,
      [missed, task, { ...missed, jobId: '9', missedMs: undefined }].map((m) => JSON.stringify(m)).join('\n'),
    );
    const { sent, reports } = open({ value: true });
    await new Promise(setImmediate);
    reports.close();
    expect(sent).toMatchObject([{ jobId: 7, untracked: 'its prolog was not heard: no agent runs' }]);
    expect(existsSync(path)).toBe(false);
  });
});

test('a task with --holdfast=interval is told what is done and what is not', () => {
  const { lines, options } = taskStart(message('task-prolog', { options: 'interval=10m,keep=3' }));
  expect(options).toEqual({ every: 600_000, keep: 3 });
  expect(lines).toContain(
    'print holdfast: this task of Slurm job 12 is checkpointed every 600 s as far as possible\n',
  );
  expect(lines).toContain('not restarted by itself');
  expect(taskStart(message('task-prolog'))).toEqual({ options: null, lines: '' });
  expect(taskStart(message('task-prolog', { options: 'keep=3' })).lines).toBe('');
  expect(taskStart(message('task-prolog', { options: 'x' })).lines).toMatch(/^print holdfast: .* not valid/);
});

test('a task that is Holdfast itself is left alone', () => {
  expect(isHoldfast(['node', '/opt/hf/dist/cli/main.js', 'run'])).toBe(true);
  expect(isHoldfast(['/bin/sh', '/usr/bin/holdfast', 'run'])).toBe(true);
  expect(isHoldfast(['./app', '--with', 'x', 'holdfast'])).toBe(false);
});
