/** The preload in a program that asks criu's questions; roundtrip.test.ts has criu itself. */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { nativeProgram } from '../../../agent/criu/program';
import { compileVictim } from '../../harness/victims';
import { readProc, USER, until, Workshop } from './support';

const workshop = new Workshop();
afterAll(() => workshop.end());
const scan = compileVictim('scan', workshop.path);

function ask(env: NodeJS.ProcessEnv, ...args: string[]): Map<string, string> {
  const preload = { LD_PRELOAD: nativeProgram('holdfast-preload.so') };
  const text = execFileSync(scan, args, { env: { ...preload, ...env }, encoding: 'utf8' });
  return new Map(
    text
      .trim()
      .split('\n')
      .map((line) => [line.split(' ')[0] ?? '', line.slice(line.indexOf(' ') + 1)]),
  );
}

const honest = ask({ LD_PRELOAD: '' });

test('without HOLDFAST_HOLLOW every answer is the kernel’s', () => {
  expect(honest.get('child')).toBe('1 1');
  for (const env of [{}, { HOLDFAST_HOLLOW: '0' }]) {
    const answers = ask(env);
    // How many ranges all of a process has is not always the same.
    expect(Number(answers.get('child-everything')?.split(' ')[0])).toBeGreaterThan(5);
    expect([...answers].filter(([name]) => name !== 'child-everything')).toEqual(
      [...honest].filter(([name]) => name !== 'child-everything'),
    );
  }
});

test('hollow: no pages of another process, but its [vdso], and every other question is answered', () => {
  const answers = ask({ HOLDFAST_HOLLOW: '1' });
  expect(answers.get('child')).toBe('0 1');
  for (const name of ['own', 'child-other-question', 'child-vdso']) {
    expect(answers.get(name)).toBe(honest.get(name));
    expect(answers.get(name)).not.toBe('0 1');
  }
});

test('hollow: a range around the [vdso] yields the [vdso] only, and the walk comes to its end', () => {
  const answers = ask({ HOLDFAST_HOLLOW: '1' });
  expect(answers.get('child-around-vdso')).toBe(honest.get('child-vdso'));
  expect(answers.get('child-everything')).toBe(honest.get('child-vdso'));
  expect(honest.get('child-everything')).not.toBe(honest.get('child-vdso'));
});

test('limits of a process of another user are there, whether or not the kernel tells them', async () => {
  const limits = 'ulimit -S -n 321; ulimit -H -n 400; ulimit -S -c 0; exec sleep 60';
  const child = spawn('bash', ['-c', limits], { uid: USER.uid, gid: USER.gid, stdio: 'ignore' });
  workshop.adopt(child);
  const pid = child.pid ?? 0;
  await until(() => readProc(pid, 'comm') === 'sleep\n');
  const answers = ask({}, String(pid));
  expect(answers.get('limit')).toBe('321 400');
  expect(answers.get('core')).toBe('0 unlimited');
  child.kill('SIGKILL');
  await once(child, 'close');
  // Nothing is made up about a process that is not there.
  expect(ask({}, String(pid)).get('limit')).toBe('No such process');
});
