import { execFileSync } from 'node:child_process';
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isThere, type Running, readProc, statusField, until, Workshop } from './support';

const workshop = new Workshop();
afterAll(() => workshop.end());

const root = (...args: string[]): Running => workshop.spawn(workshop.rootProgram, args);
const shell = (script: string): Running => root('--', 'sh', '-c', script);
const comm = (pid: number): string => readProc(pid, 'comm')?.trim() ?? '';
const children = (pid: number): number[] =>
  (readProc(pid, `task/${pid}/children`) ?? '').split(' ').filter(Boolean).map(Number);

test('ends with the exit code of its command', async () => {
  expect(await shell('exit 0').ended).toEqual({ code: 0, signal: null });
  expect(await shell('exit 37').ended).toEqual({ code: 37, signal: null });
  expect(await shell('exit 255').ended).toEqual({ code: 255, signal: null });
});

test.each(['SIGKILL', 'SIGTERM', 'SIGSEGV', 'SIGUSR1'] as const)(
  'dies of %s when its command does',
  async (signal) => {
    expect(await shell(`kill -${signal.slice(3)} $$`).ended).toEqual({ code: null, signal });
  },
);

test('says why a command does not run', async () => {
  const missing = root('--', join(workshop.path, 'nothing'));
  expect(await missing.ended).toEqual({ code: 127, signal: null });
  expect(missing.stderr).toBe(
    `holdfast-root: cannot run ${join(workshop.path, 'nothing')}: No such file or directory\n`,
  );
  const plain = join(workshop.path, 'plain');
  writeFileSync(plain, 'text');
  chmodSync(plain, 0o644);
  const denied = root('--', plain);
  expect(await denied.ended).toEqual({ code: 126, signal: null });
  expect(denied.stderr).toContain('Permission denied');
});

test.each([[[]], [['--stay']], [['--']], [['sh']], [['--other', '--', 'sh']]])(
  'refuses the arguments %j',
  async (args) => {
    const running = root(...args);
    expect((await running.ended).code).toBe(1);
    expect(running.stderr).toContain('usage: holdfast-root');
  },
);

test('is called hf-root, holds only 0, 1 and 2, and its command leads a process group of its own', async () => {
  // bash gives the program descriptors that it must not keep.
  const script = `exec 7</dev/null 9>&1; exec ${workshop.rootProgram} -- sleep 60`;
  // Its input is a socket, which it would take for a remote shell's: then it runs the user's own start-up file first.
  const running = workshop.spawn('bash', ['--norc', '-c', script]);
  const [command = 0] = await until(() => children(running.pid).length > 0 && children(running.pid));
  await until(() => comm(command) === 'sleep');
  expect(comm(running.pid)).toBe('hf-root');
  const open = execFileSync('ls', [`/proc/${running.pid}/fd`], { encoding: 'utf8' });
  expect(open.trim().split('\n')).toEqual(['0', '1', '2']);
  const group = (pid: number): string | undefined => readProc(pid, 'stat')?.split(') ')[1]?.split(' ')[2];
  expect(group(command)).toBe(String(command));
  process.kill(command, 'SIGTERM');
  expect(await running.ended).toEqual({ code: null, signal: 'SIGTERM' });
});

test.each(['HUP', 'INT', 'QUIT', 'TERM', 'USR1', 'USR2', 'ALRM', 'CONT', 'TSTP', 'XCPU'])(
  'hands %s on to its command',
  async (signal) => {
    const running = shell(`trap 'echo got; exit 5' ${signal}; echo set; while :; do sleep 0.01; done`);
    await until(() => running.stdout === 'set\n');
    process.kill(running.pid, `SIG${signal}` as NodeJS.Signals);
    expect(await running.ended).toEqual({ code: 5, signal: null });
    expect(running.stdout).toBe('set\ngot\n');
  },
);

test('without --stay it ends at once, though an orphan is left', async () => {
  const running = shell('setsid sleep 60 >/dev/null 2>&1 </dev/null & echo $!; exit 4');
  expect(await running.ended).toEqual({ code: 4, signal: null });
  const orphan = Number(running.stdout);
  expect(isThere(orphan)).toBe(true);
  process.kill(orphan, 'SIGKILL');
});

test('with --stay it adopts a daemon, tells the code in its name, and ends with it when the daemon has gone', async () => {
  const daemon = '(setsid sleep 60 >/dev/null 2>&1 </dev/null & echo $!)';
  const running = root('--stay', '--', 'sh', '-c', `${daemon}; exit 21`);
  await until(() => comm(running.pid) === 'hf-root=21');
  const pid = Number(await until(() => running.stdout.endsWith('\n') && running.stdout));
  expect(statusField(pid, 'PPid')).toBe(String(running.pid));
  // Its command is gone: a signal is for those who are left.
  process.kill(running.pid, 'SIGTERM');
  expect(await running.ended).toEqual({ code: 21, signal: null });
  expect(isThere(pid)).toBe(false);
});

test('with --stay it ends by the signal that its command died of', async () => {
  const running = root(
    '--stay',
    '--',
    'sh',
    '-c',
    '(setsid sleep 0.3 >/dev/null 2>&1 </dev/null &) ; kill -KILL $$',
  );
  await until(() => comm(running.pid) === 'hf-root=137');
  expect(await running.ended).toEqual({ code: null, signal: 'SIGKILL' });
});

test('reaps every orphan', async () => {
  const running = shell(
    'for i in 1 2 3 4 5 6 7 8; do (sh -c "exit 3" &) ; done; sleep 0.3; ps -o stat= --ppid $PPID; exit 0',
  );
  expect((await running.ended).code).toBe(0);
  expect(running.stdout).not.toContain('Z');
});
