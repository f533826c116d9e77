import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, readlinkSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { nativeProgram } from '../../../agent/criu/program';
import {
  type CellOptions,
  isThere,
  namespaceOf,
  readProc,
  startArguments,
  statusField,
  TestCell,
  USER,
  until,
  Workshop,
} from './support';

const workshop = new Workshop();
afterAll(() => workshop.end());

const start = (options: CellOptions): Promise<TestCell> => TestCell.start(workshop, options);
const shell = (script: string): { command: string[] } => ({ command: ['sh', '-c', script] });
const startTime = (pid: number): number => Number(readProc(pid, 'stat')?.split(') ')[1]?.split(' ')[19]);

const withEnvironment = (args: string[]): string[] =>
  args.flatMap((argument) =>
    argument === '--first-pid' ? ['--environment-from-stdin', argument] : [argument],
  );

/** The child of the root, once it has become the program. */
const runningIn = (cell: TestCell, name: string): Promise<number> =>
  until(() => [...cell.processes().values()].find((pid) => readProc(pid, 'comm') === `${name}\n`));

describe('the end of the root is recorded', () => {
  test.each([0, 7, 127, 255])('exit code %d', async (code) => {
    const cell = await start(shell(`exit ${code}`));
    expect(await cell.exit()).toEqual({ code });
    expect((await cell.running.ended).code).toBe(0);
  });

  test.each([
    ['KILL', 9],
    ['TERM', 15],
    ['SEGV', 11],
  ])('signal %s', async (name, signal) => {
    const cell = await start(shell(`kill -${name} $$`));
    expect(await cell.exit()).toEqual({ signal });
  });

  test('a command that does not exist', async () => {
    const output = join(workshop.directory(0o777), 'out');
    const cell = await start({ command: ['/nothing/here'], output });
    expect(await cell.exit()).toEqual({ code: 127 });
    expect(readFileSync(output, 'utf8')).toContain('cannot run /nothing/here');
  });

  test('the root itself killed from outside', async () => {
    const cell = await start(shell('sleep 60'));
    const sleep = await runningIn(cell, 'sleep');
    process.kill(cell.file.root_pid ?? 0, 'SIGTERM');
    expect(await cell.exit()).toEqual({ signal: 15 });
    expect(isThere(sleep)).toBe(false);
  });
});

describe('what the job finds', () => {
  test('its ids, groups, pid, umask, directory, descriptors and signals', async () => {
    const directory = workshop.directory(0o777);
    const output = join(directory, 'out');
    const cell = await start({
      ...shell('echo hello; umask; exec sleep 60'),
      cwd: directory,
      output,
      firstPid: 4321,
    });
    const root = cell.file.root_pid ?? 0;
    const command = await runningIn(cell, 'sleep');
    for (const pid of [root, command]) {
      expect(statusField(pid, 'Uid').split('\t')).toEqual(Array(4).fill(String(USER.uid)));
      expect(statusField(pid, 'Gid').split('\t')).toEqual(Array(4).fill(String(USER.gid)));
      expect(statusField(pid, 'Groups').trim().split(' ').map(Number)).toEqual([...USER.groups]);
      expect(statusField(pid, 'CapEff')).toBe('0000000000000000');
      expect(readlinkSync(`/proc/${pid}/cwd`)).toBe(directory);
      // A program that has just begun still has its libraries open.
      await until(() => readdirSync(`/proc/${pid}/fd`).join() === '0,1,2');
      expect(readlinkSync(`/proc/${pid}/fd/0`)).toBe('/dev/null');
      expect(readlinkSync(`/proc/${pid}/fd/1`)).toBe(output);
    }
    expect([...cell.processes().keys()]).toEqual([4321, 4322]);
    expect(statusField(command, 'SigBlk')).toBe('0000000000000000');
    expect(statusField(command, 'SigIgn')).toBe('0000000000000000');
    expect(statusField(root, 'NSsid').split('\t').at(-1)).toBe('4321');
    expect(readFileSync(output, 'utf8')).toBe('hello\n0022\n');
    const { uid, gid, mode } = statSync(output);
    expect([uid, gid, mode & 0o777]).toEqual([USER.uid, USER.gid, 0o644]);
    await cell.kill();
  });

  test('no groups at all when --groups is empty', async () => {
    const directory = workshop.directory(0o700);
    const args = startArguments(workshop, directory, { command: ['sleep', '60'] });
    args[args.indexOf('--groups') + 1] = '';
    const running = workshop.spawn(nativeProgram('holdfast-cell'), args);
    await until(() => running.stdout === 'ready\n');
    const file = JSON.parse(readFileSync(join(directory, 'cell.json'), 'utf8'));
    expect(statusField(file.root_pid, 'Groups').trim()).toBe('');
    process.kill(file.init_pid, 'SIGKILL');
    await running.ended;
  });

  test('output is appended to', async () => {
    const output = join(workshop.directory(0o777), 'out');
    await (await start({ ...shell('echo one'), output })).exit();
    await (await start({ ...shell('echo two >&2'), output })).exit();
    expect(readFileSync(output, 'utf8')).toBe('one\ntwo\n');
  });

  test('exactly the environment that comes on stdin', async () => {
    const directory = workshop.directory(0o700);
    const args = startArguments(workshop, directory, { command: ['sleep', '60'] });
    const entries = ['PATH=/usr/bin:/bin', 'EMPTY=', 'odd name=x=y\nz', `LONG=${'x'.repeat(100_000)}`];
    const running = workshop.spawn(nativeProgram('holdfast-cell'), withEnvironment(args));
    running.child.stdin?.end(entries.map((entry) => `${entry}\0`).join(''));
    await until(() => running.stdout === 'ready\n');
    const file = JSON.parse(readFileSync(join(directory, 'cell.json'), 'utf8'));
    expect(readProc(file.root_pid, 'environ')?.split('\0').filter(Boolean)).toEqual(entries);
    process.kill(file.init_pid, 'SIGKILL');
    await running.ended;
  });

  test.each([
    ['that breaks off', 'A=1\0B=', 'the environment of the job ends in the middle of an entry'],
    ['with an entry that is none', 'A=1\0B\0', 'entry 2 of the environment of the job is not NAME=VALUE'],
    [
      'that is too long',
      `A=${'x'.repeat(6 << 20)}\0`,
      'the environment of the job has more than 6291456 bytes',
    ],
  ])('not an environment %s', async (_what, text, complaint) => {
    const args = startArguments(workshop, workshop.directory(0o700), { command: ['sleep', '60'] });
    const running = workshop.spawn(nativeProgram('holdfast-cell'), withEnvironment(args));
    running.child.stdin?.end(text);
    expect((await running.ended).code).toBe(1);
    expect(running.stderr).toBe(`holdfast-cell: ${complaint}\n`);
  });

  test('else exactly the environment of the caller, of which nothing acts on what still runs as root', async () => {
    const directory = workshop.directory(0o777);
    const library = join(workshop.path, 'library.so');
    const source = join(workshop.path, 'library.c');
    writeFileSync(
      source,
      `#include <fcntl.h>
       #include <stdio.h>
       #include <stdlib.h>
       #include <unistd.h>
       __attribute__((constructor)) static void loaded(void) {
         char name[4096];
         snprintf(name, sizeof name, "%s/uid-%d", getenv("MARKS"), getuid());
         close(open(name, O_CREAT | O_WRONLY, 0600));
       }`,
    );
    execFileSync('gcc', ['-shared', '-fPIC', '-o', library, source]);
    const env = {
      LD_PRELOAD: library,
      MARKS: directory,
      PATH: '/usr/bin:/bin',
      EMPTY: '',
      'odd name': 'x=y\nz',
    };
    const cell = await start({ command: ['sleep', '60'], env });
    const command = await runningIn(cell, 'sleep');
    const seen = readProc(command, 'environ')?.split('\0').filter(Boolean).sort();
    expect(seen).toEqual(
      Object.entries(env)
        .map(([name, value]) => `${name}=${value}`)
        .sort(),
    );
    await cell.kill();
    expect(readdirSync(directory)).toEqual([`uid-${USER.uid}`]);
  });

  test('namespaces of its own; IPC for the tree only; a /proc that shows the cell', async () => {
    const output = join(workshop.directory(0o777), 'out');
    const cell = await start({ ...shell('echo /proc/[0-9]*; exec sleep 60'), output, firstPid: 700 });
    const { init_pid: init, root_pid: root } = cell.file;
    for (const kind of ['pid', 'mnt']) {
      expect(namespaceOf(init, kind)).not.toBe(namespaceOf(process.pid, kind));
      expect(namespaceOf(root ?? 0, kind)).toBe(namespaceOf(init, kind));
    }
    for (const kind of ['net', 'uts', 'user']) {
      expect(namespaceOf(root ?? 0, kind)).toBe(namespaceOf(process.pid, kind));
    }
    expect(namespaceOf(init, 'ipc')).toBe(namespaceOf(process.pid, 'ipc'));
    expect(namespaceOf(root ?? 0, 'ipc')).not.toBe(namespaceOf(init, 'ipc'));
    await runningIn(cell, 'sleep');
    expect(readFileSync(output, 'utf8')).toBe('/proc/1 /proc/700 /proc/701\n');
    await cell.kill();
  });
});

describe('the record of a cell', () => {
  test('names its processes and is for root only', async () => {
    const cell = await start(shell('sleep 60'));
    const { file, directory } = cell;
    expect(file).toEqual({
      supervisor_pid: cell.running.pid,
      supervisor_start: startTime(cell.running.pid),
      init_pid: file.init_pid,
      init_start: startTime(file.init_pid),
      root_pid: file.root_pid,
    });
    expect(statusField(file.init_pid, 'PPid')).toBe(String(cell.running.pid));
    expect(statusField(file.root_pid ?? 0, 'PPid')).toBe(String(file.init_pid));
    expect(readProc(file.root_pid ?? 0, 'comm')).toBe('hf-root\n');
    expect(readdirSync(directory)).toEqual(['cell.json']);
    expect(statSync(join(directory, 'cell.json')).mode & 0o777).toBe(0o600);
    await cell.kill();
    expect(readdirSync(directory).sort()).toEqual(['cell.json', 'exit.json']);
    expect(statSync(join(directory, 'exit.json')).mode & 0o777).toBe(0o600);
  });

  test('comes once per start: a cell that waits for a restore has no root', async () => {
    const cell = await TestCell.adopt(workshop, 900, 3000);
    expect(cell.file.root_pid).toBeNull();
    expect(cell.processes().size).toBe(0);
    // A process that enters gets the next pid after --first-pid.
    const enter = ['--target', String(cell.file.init_pid), '--pid', '--mount', 'sh', '-c', 'echo $$'];
    expect(execFileSync('nsenter', enter, { encoding: 'utf8' })).toBe('3001\n');
    await cell.kill();
    expect(await cell.exit()).toEqual({ signal: 9 });
  });
});

describe('who dies with whom', () => {
  const tree = 'sleep 61 & (setsid sleep 62 &) ; sleep 63';

  const grown = async (cell: TestCell): Promise<number[]> => {
    await until(() => cell.processes().size === 5);
    return [...cell.processes().values()];
  };

  test('the supervisor killed: the cell dies, without a record of an end', async () => {
    const cell = await start(shell(tree));
    const processes = await grown(cell);
    cell.running.child.kill('SIGKILL');
    await until(() => [cell.file.init_pid, ...processes].every((pid) => !isThere(pid)));
    expect(existsSync(join(cell.directory, 'exit.json'))).toBe(false);
  });

  test('pid 1 killed: everything dies, recorded as signal 9', async () => {
    const cell = await start(shell(tree));
    const processes = await grown(cell);
    await cell.kill();
    expect(await cell.exit()).toEqual({ signal: 9 });
    expect(processes.filter(isThere)).toEqual([]);
  });

  test('the command ended: the rest of the tree is gone when the end is recorded', async () => {
    const cell = await start(shell(`${tree.slice(0, -'sleep 63'.length)} sleep 0.1; exit 3`));
    const processes = await grown(cell);
    expect(await cell.exit()).toEqual({ code: 3 });
    expect(processes.filter(isThere)).toEqual([]);
  });

  test('with --stay the cell lives as long as a daemon of the job', async () => {
    const cell = await start({ ...shell('(setsid sleep 60 &) ; exit 9'), stay: true });
    const daemon = await runningIn(cell, 'sleep');
    await until(() => readProc(cell.file.root_pid ?? 0, 'comm') === 'hf-root=9\n');
    expect(statusField(daemon, 'PPid')).toBe(String(cell.file.root_pid));
    expect(existsSync(join(cell.directory, 'exit.json'))).toBe(false);
    process.kill(daemon, 'SIGKILL');
    expect(await cell.exit()).toEqual({ code: 9 });
  });

  test('polite signals do not end the supervisor', async () => {
    const cell = await start(shell('sleep 60'));
    for (const signal of ['SIGHUP', 'SIGINT', 'SIGQUIT', 'SIGTERM', 'SIGUSR1', 'SIGUSR2'] as const) {
      cell.running.child.kill(signal);
    }
    await cell.kill();
    expect(await cell.exit()).toEqual({ signal: 9 });
  });

  test('a guest may finish when the root ends, and what outlives the tree ends with the cell', async () => {
    const cell = await start(shell('sleep 60'));
    const done = join(workshop.path, 'guest-done');
    const enter = ['--target', String(cell.file.init_pid), '--pid', '--mount'];
    const guest = workshop.spawn('nsenter', [...enter, 'sh', '-c', `echo in; sleep 0.3; echo yes > ${done}`]);
    await until(() => guest.stdout === 'in\n');
    process.kill(cell.file.root_pid ?? 0, 'SIGKILL');
    expect(await cell.exit()).toEqual({ signal: 9 });
    expect(readFileSync(done, 'utf8')).toBe('yes\n');
  });
});

describe('a set-up that fails', () => {
  const attempt = async (change: (args: string[], directory: string) => void) => {
    const directory = workshop.directory(0o700);
    const args = startArguments(workshop, directory, { command: ['sleep', '60'] });
    change(args, directory);
    const running = workshop.spawn(nativeProgram('holdfast-cell'), args);
    const { code } = await running.ended;
    return {
      code,
      stdout: running.stdout,
      stderr: running.stderr,
      left: readdirSync(directory),
      pid: running.pid,
    };
  };
  const set = (args: string[], option: string, value: string): void => {
    args[args.indexOf(option) + 1] = value;
  };

  test.each<[string, string, string, string]>([
    [
      'a directory that is not there',
      '--cwd',
      '/nothing/here',
      'cannot change to the directory /nothing/here: No such file or directory',
    ],
    [
      'a root program that is not there',
      '--root-program',
      '/nothing/root',
      'cannot run /nothing/root: No such file or directory',
    ],
    [
      'a root program that the user may not run',
      '--root-program',
      '/etc/shadow',
      'cannot run /etc/shadow: Permission denied',
    ],
    [
      'an output in a directory of root',
      '--output',
      '/etc/holdfast-test-output',
      'cannot open the output /etc/holdfast-test-output: Permission denied',
    ],
    [
      'a pid beyond the largest',
      '--first-pid',
      '4194304',
      "--first-pid wants a number from 2 to 4194303, not '4194304'",
    ],
    ['a pid that is none', '--first-pid', '1', "--first-pid wants a number from 2 to 4194303, not '1'"],
    ['a uid that is none', '--uid', '-1', "--uid wants a number from 0 to 4294967294, not '-1'"],
    ['a group that is none', '--groups', '1,,2', "--groups wants a number from 0 to 4294967294, not ''"],
    ['a relative directory', '--cwd', 'tmp', "--cwd wants an absolute path, not 'tmp'"],
    ['an option that is not known', '--cwd', '--no', "--cwd wants an absolute path, not '--no'"],
  ])('%s', async (_what, option, value, complaint) => {
    const result = await attempt((args) => set(args, option, value));
    expect(result).toMatchObject({ code: 1, stdout: '', stderr: `holdfast-cell: ${complaint}\n`, left: [] });
  });

  test('a run directory that is not there', async () => {
    const result = await attempt((args) => set(args, '--dir', '/nothing/run'));
    expect(result).toMatchObject({
      code: 1,
      stderr: 'holdfast-cell: cannot open --dir /nothing/run: No such file or directory\n',
    });
  });

  test('a record that cannot be written ends the cell again', async () => {
    const result = await attempt((args) => {
      // Nobody may make a file in /proc, not even root.
      set(args, '--dir', '/proc');
    });
    expect(result.code).toBe(1);
    expect(result.stderr).toMatch(/^holdfast-cell: cannot write cell\.json in \/proc: .+\n$/);
    expect(execFileSync('ps', ['-e', '-o', 'ppid='], { encoding: 'utf8' }).split(/\s+/)).not.toContain(
      String(result.pid),
    );
  });

  test('an output that nobody reads', async () => {
    const fifo = join(workshop.directory(0o777), 'fifo');
    execFileSync('mkfifo', ['-m', '666', fifo]);
    const result = await attempt((args) => set(args, '--output', fifo));
    expect(result).toMatchObject({
      code: 1,
      stderr: `holdfast-cell: cannot open the output ${fifo}: No such device or address\n`,
    });
  });

  test('no command', async () => {
    const result = await attempt((args) => args.splice(args.indexOf('--') + 1));
    expect(result).toMatchObject({
      code: 1,
      stderr: 'holdfast-cell: the command after -- is missing; see docs/native-programs.md\n',
    });
  });
});

test('works inside the namespaces of a simulated node, and in a cell', async () => {
  const within = ['unshare', '--pid', '--fork', '--mount', '--mount-proc', '--net', '--kill-child'];
  const output = join(workshop.directory(0o777), 'out');
  const cell = await start({ ...shell('echo $$; sleep 0.2; exit 11'), output, within });
  // The numbers are those of the node that it runs in.
  expect(cell.file.supervisor_pid).toBeLessThan(10);
  await until(() => existsSync(join(cell.directory, 'exit.json')));
  expect(JSON.parse(readFileSync(join(cell.directory, 'exit.json'), 'utf8'))).toEqual({ code: 11 });
  expect(readFileSync(output, 'utf8')).toBe('5001\n');
});
