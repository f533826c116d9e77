/** The watchdog with a small program in the place of CRIU; deaths.test.ts has the real one. */
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { nativeProgram } from '../../../agent/criu/program';
import { isThere, namespaceOf, TestCell, TestHold, USER, until, Workshop } from './support';

const workshop = new Workshop();
afterAll(() => workshop.end());
const program = nativeProgram('holdfast-hold');

interface Watched {
  readonly hold: TestHold;
  readonly directory: string;
}

function watch(script: string, options: readonly string[] = [], leaseMs = 60_000): Watched {
  const directory = workshop.directory(0o700);
  const own = ['--dir', directory, '--gate', 'post-dump', '--lease-ms', String(leaseMs), ...options];
  const running = workshop.spawn(program, [...own, '--', '/bin/sh', '-c', script]);
  return { hold: new TestHold(running), directory };
}

/** A line of the script that runs an action as CRIU does. */
const action = (name: string): string => `CRTOOLS_SCRIPT_ACTION=${name} CRTOOLS_INIT_PID=77 ${program}`;
const gate = action('post-dump');
/** Waits for the file go in the hold's directory. */
const untilGo = 'while [ ! -e go ]; do sleep 0.01; done';
const output = ({ directory }: Watched): string => readFileSync(join(directory, 'criu.out'), 'utf8');

describe('the gate', () => {
  test('waits for pass, and then lets the program finish', async () => {
    const watched = watch(`${action('pre-dump')} && sleep 0.05 && ${gate} && echo through`);
    const { hold } = watched;
    const { pid } = await hold.expect('started');
    expect(await hold.expect('gate')).toEqual({ event: 'gate', action: 'post-dump', init_pid: 77 });
    expect(isThere(Number(pid))).toBe(true);
    expect(output(watched)).toBe('');
    hold.say('pass');
    const exit = await hold.expect('exit');
    expect(exit).toMatchObject({ code: 0, signal: null, outcome: 'passed' });
    expect(Number(exit.held_ms)).toBeGreaterThanOrEqual(50);
    expect(await hold.running.ended).toEqual({ code: 0, signal: null });
    expect(output(watched)).toBe('through\n');
    expect(readdirSync(watched.directory)).toEqual(['criu.out']);
  });

  test('refuses a pass that comes too early, and does not remember it', async () => {
    const watched = watch(`${untilGo}; ${gate} && echo through`);
    const { hold, directory } = watched;
    await hold.expect('started');
    hold.say('pass');
    expect(await hold.next()).toEqual({
      event: 'refused',
      command: 'pass',
      reason: 'the gate is not reached',
    });
    writeFileSync(join(directory, 'go'), '');
    await hold.expect('gate');
    await delay(100);
    expect(output(watched)).toBe('');
    hold.say('fail');
    expect(await hold.expect('exit')).toMatchObject({ code: 1, outcome: 'failed' });
  });

  test('passes once: its second visit fails', async () => {
    const watched = watch(`${gate}; echo $?; ${untilGo}; ${gate}; echo $?`);
    const { hold, directory } = watched;
    await hold.expect('started');
    await hold.expect('gate');
    hold.say('pass');
    hold.say('pass');
    expect(await hold.next()).toMatchObject({ event: 'refused', reason: 'the gate has passed already' });
    writeFileSync(join(directory, 'go'), '');
    expect(await hold.expect('exit')).toMatchObject({ code: 0, outcome: 'passed' });
    expect(output(watched)).toMatch(/^0\n.*it was not passed\n1\n$/s);
  });

  test.each([
    ['before it is reached', `${untilGo}; ${gate}; echo $?`, false],
    ['when it is reached', `${gate}; echo $?`, true],
  ])('fails when the agent says so %s', async (_when, script, atGate) => {
    const watched = watch(script);
    const { hold } = watched;
    await hold.expect('started');
    if (atGate) await hold.expect('gate');
    hold.say('fail a reason');
    writeFileSync(join(watched.directory, 'go'), '');
    expect(await hold.expect('exit')).toMatchObject({ code: 0, signal: null, outcome: 'failed' });
    expect(await hold.running.ended).toEqual({ code: 1, signal: null });
    expect(hold.running.stderr).toContain('the agent failed the gate: a reason');
    expect(output(watched)).toMatch(/it was not passed\n1\n$/);
  });

  test('stays failed: neither pass nor a lease revives it', async () => {
    const { hold, directory } = watch(`${untilGo}; ${gate}`);
    await hold.expect('started');
    hold.say('fail');
    for (const line of ['pass', 'lease 1000']) {
      hold.say(line);
      expect(await hold.next()).toMatchObject({ event: 'refused', reason: 'the gate has failed' });
    }
    writeFileSync(join(directory, 'go'), '');
    expect(await hold.expect('exit')).toMatchObject({ code: 1, outcome: 'failed' });
  });

  test('other actions do not wait', async () => {
    const watched = watch(
      `${action('pre-dump')} && ${action('network-lock')} && ${action('pre-resume')} && echo on`,
    );
    await watched.hold.expect('started');
    expect(await watched.hold.expect('exit')).toMatchObject({ code: 0, outcome: 'failed' });
    expect(output(watched)).toBe('on\n');
  });

  test('fails closed without a watchdog', () => {
    const env = { CRTOOLS_SCRIPT_ACTION: 'post-dump', HOLDFAST_GATED_ACTION: 'post-dump' };
    const run = (more: NodeJS.ProcessEnv): number => {
      const { status } = workshopRun(program, { ...env, ...more });
      return status;
    };
    expect(run({})).toBe(1);
    expect(run({ HOLDFAST_GATE: join(workshop.path, 'nowhere', 'gate.sock') })).toBe(1);
    expect(run({ HOLDFAST_GATED_ACTION: undefined })).toBe(1);
    expect(run({ CRTOOLS_SCRIPT_ACTION: 'post-restore' })).toBe(0);
  });
});

function workshopRun(file: string, env: NodeJS.ProcessEnv): { status: number } {
  try {
    execFileSync(file, [], { env, stdio: 'pipe' });
    return { status: 0 };
  } catch (error) {
    return { status: (error as { status: number }).status };
  }
}

describe('the lease', () => {
  test('that ends fails the gate, by its own clock', async () => {
    const begun = Date.now();
    const { hold } = watch(gate, [], 200);
    await hold.expect('started');
    await hold.expect('gate');
    expect(await hold.expect('exit')).toMatchObject({ code: 1, outcome: 'lease' });
    expect(Date.now() - begun).toBeGreaterThanOrEqual(200);
    expect(Date.now() - begun).toBeLessThan(10_000);
  });

  test('that is renewed lives on; its length counts from the renewal', async () => {
    const { hold } = watch(gate, [], 800);
    await hold.expect('started');
    await hold.expect('gate');
    const end = Date.now() + 1600;
    while (Date.now() < end) {
      hold.say('lease 800');
      await delay(50);
    }
    hold.say('pass');
    expect(await hold.expect('exit')).toMatchObject({ code: 0, outcome: 'passed' });
  });

  test('can be shortened to nothing', async () => {
    const { hold, directory } = watch(`${gate}; code=$?; ${untilGo}; exit $code`);
    await hold.expect('started');
    await hold.expect('gate');
    hold.say('lease 0');
    hold.say('pass');
    expect(await hold.next()).toMatchObject({
      event: 'refused',
      command: 'pass',
      reason: 'the gate has failed',
    });
    writeFileSync(join(directory, 'go'), '');
    expect(await hold.expect('exit')).toMatchObject({ code: 1, outcome: 'lease' });
  });

  test.each(['lease', 'lease -5', 'lease 1e3', 'lease 99999999999', 'pass now', 'nonsense "quoted"', ''])(
    'a line that is none changes nothing: %j',
    async (line) => {
      const { hold } = watch(gate);
      await hold.expect('started');
      await hold.expect('gate');
      hold.say(line);
      expect(await hold.expect('refused')).toHaveProperty('reason');
      hold.say('pass');
      expect(await hold.expect('exit')).toMatchObject({ code: 0, outcome: 'passed' });
    },
  );
});

describe('somebody is lost', () => {
  test.each<[string, (hold: TestHold) => void]>([
    ['its input ends', (hold) => hold.running.child.stdin?.end()],
    ['a line never ends', (hold) => hold.running.child.stdin?.write('x'.repeat(5000))],
    ['it is told to end', (hold) => hold.running.child.kill('SIGTERM')],
  ])('the agent: %s', async (_how, lose) => {
    const { hold } = watch(gate);
    await hold.expect('started');
    await hold.expect('gate');
    lose(hold);
    expect(await hold.expect('exit')).toMatchObject({ code: 1, outcome: 'agent-lost' });
    expect((await hold.running.ended).code).toBe(1);
  });

  test('the agent does not read: the watchdog does not wait for it', async () => {
    const watched = watch(`${gate} || touch failed`, [], 60_000);
    const { hold, directory } = watched;
    hold.running.child.stdout?.destroy();
    hold.say('pass now'); // refused, and the refusal cannot be written
    await hold.running.ended;
    expect(existsSync(join(directory, 'failed'))).toBe(true);
  });

  test('the watchdog: the gate fails', async () => {
    const watched = watch(`${gate}; echo $? > result`);
    await watched.hold.expect('started');
    await watched.hold.expect('gate');
    watched.hold.running.child.kill('SIGKILL');
    await until(() => existsSync(join(watched.directory, 'result')));
    await until(() => readFileSync(join(watched.directory, 'result'), 'utf8') === '1\n');
  });

  test('the program: its end is reported', async () => {
    const early = watch('exit 3').hold;
    await early.expect('started');
    expect(await early.expect('exit')).toEqual({
      event: 'exit',
      code: 3,
      signal: null,
      outcome: 'failed',
      held_ms: 0,
    });
    const killed = watch(gate).hold;
    const { pid } = await killed.expect('started');
    await killed.expect('gate');
    process.kill(Number(pid), 'SIGKILL');
    expect(await killed.expect('exit')).toMatchObject({ code: null, signal: 9, outcome: 'killed' });
  });

  test('a program that does not end within the grace time is killed', async () => {
    const begun = Date.now();
    const { hold } = watch(`${gate}; exec sleep 60`, ['--grace-ms', '300'], 200);
    await hold.expect('started');
    await hold.expect('gate');
    expect(await hold.expect('exit')).toMatchObject({ code: null, signal: 9, outcome: 'lease' });
    expect(Date.now() - begun).toBeGreaterThanOrEqual(500);
    expect(Date.now() - begun).toBeLessThan(10_000);
  });

  test('also after pass, when the lease ends', async () => {
    const { hold } = watch(`${gate}; exec sleep 60`, ['--grace-ms', '100'], 2000);
    await hold.expect('started');
    await hold.expect('gate');
    hold.say('pass');
    expect(await hold.expect('exit')).toMatchObject({ code: null, signal: 9, outcome: 'killed' });
    expect((await hold.running.ended).code).toBe(1);
  });
});

describe('what the program finds', () => {
  test('its directory, its environment, no descriptors of ours', async () => {
    const id = '01234567-89ab-4cde-8f01-23456789abcd';
    const watched = watch('pwd; env | grep HOLDFAST_ | sort; ls /proc/self/fd | tr "\\n" " "; exit 0', [
      '--cleanup-table',
      `CRIU-${id}`,
    ]);
    await watched.hold.expect('started');
    await watched.hold.expect('exit');
    expect(output(watched).split('\n')).toEqual([
      watched.directory,
      `HOLDFAST_GATE=${watched.directory}/gate.sock`,
      'HOLDFAST_GATED_ACTION=post-dump',
      `HOLDFAST_RUN_ID=${id}`,
      '0 1 2 3 ',
    ]);
  });

  test('a record of the network lock, as long as the hold lasts', async () => {
    const id = '01234567-89ab-4cde-8f01-23456789abcd';
    const { hold, directory } = watch(gate, ['--cleanup-table', `CRIU-${id}`]);
    await hold.expect('started');
    const record = JSON.parse(readFileSync(join(directory, 'hold.json'), 'utf8'));
    expect(record).toMatchObject({ hold_pid: hold.running.pid, lock_table: 'CRIU-01234567-89ab-4cde-8f' });
    await hold.expect('gate');
    hold.say('pass');
    await hold.running.ended;
    expect(existsSync(join(directory, 'hold.json'))).toBe(false);
  });

  test('with --enter the pid and mount namespaces of a cell, and no other', async () => {
    const cell = await TestCell.adopt(workshop, 900, 3000);
    const { hold } = watch(`${gate}; sleep 60`, ['--enter', String(cell.file.init_pid)]);
    const pid = Number((await hold.expect('started')).pid);
    await hold.expect('gate');
    for (const kind of ['pid', 'mnt'])
      expect(namespaceOf(pid, kind)).toBe(namespaceOf(cell.file.init_pid, kind));
    for (const kind of ['ipc', 'net', 'uts', 'time'])
      expect(namespaceOf(pid, kind)).toBe(namespaceOf(process.pid, kind));
    expect(namespaceOf(hold.running.pid, 'mnt')).toBe(namespaceOf(process.pid, 'mnt'));
    expect([...cell.processes().keys()][0]).toBe(3001);
    await cell.kill();
    expect(await hold.expect('exit')).toMatchObject({ code: null, signal: 9 });
  });

  test('files of --inherit, opened with the ids of the user', async () => {
    const directory = workshop.directory(0o777);
    const ids = `${USER.uid}:${USER.gid}:${USER.groups.join(',')}`;
    const out = join(directory, 'out');
    const inherit = ['--inherit', `400:${out}`, '--inherit', '401:/dev/null', '--inherit-as', ids];
    const watched = watch(`exec bash -c 'echo hello >&400; cat <&401; id -u; id -G'`, inherit);
    await watched.hold.expect('started');
    await watched.hold.expect('exit');
    expect(readFileSync(out, 'utf8')).toBe('hello\n');
    expect([statSync(out).uid, statSync(out).gid]).toEqual([USER.uid, USER.gid]);
    // The program itself is root again.
    expect(output(watched)).toBe('0\n0\n');

    for (const [path, complaint] of [
      ['/etc/shadow', 'cannot open /etc/shadow for --inherit: Permission denied'],
      [directory, `cannot open ${directory} for --inherit: Is a directory`],
    ]) {
      const refused = watch('true', ['--inherit', `400:${path}`, '--inherit-as', ids]);
      expect((await refused.hold.running.ended).code).toBe(1);
      expect(refused.hold.running.stderr).toBe(`holdfast-hold: ${complaint}\n`);
    }
    const nobody = watch('true', ['--inherit', `400:${out}`]);
    expect((await nobody.hold.running.ended).code).toBe(1);
    expect(nobody.hold.running.stderr).toContain('needs --inherit-as');
  });
});

test('listens to root only', async () => {
  const { hold, directory } = watch(gate);
  await hold.expect('started');
  await hold.expect('gate');
  const socket = join(directory, 'gate.sock');
  expect(statSync(socket).mode & 0o777).toBe(0o600);
  // Even if the modes let somebody in, the credentials do not: the connection is closed without an answer.
  execFileSync('chmod', ['777', directory, socket]);
  const env = {
    CRTOOLS_SCRIPT_ACTION: 'post-dump',
    HOLDFAST_GATED_ACTION: 'post-dump',
    HOLDFAST_GATE: socket,
  };
  const stranger = workshop.spawn('setpriv', ['--reuid', String(USER.uid), '--clear-groups', program], env);
  expect(await stranger.ended).toEqual({ code: 1, signal: null });
  hold.say('pass');
  expect(await hold.expect('exit')).toMatchObject({ outcome: 'passed' });
});

test.each<[string, string[], string]>([
  [
    'no directory',
    ['--gate', 'x', '--lease-ms', '1', '--', '/bin/true'],
    '--dir with an absolute path is missing',
  ],
  ['no gate', ['--dir', '/tmp', '--lease-ms', '1', '--', '/bin/true'], '--gate is missing'],
  ['no lease', ['--dir', '/tmp', '--gate', 'x', '--', '/bin/true'], '--lease-ms is missing'],
  [
    'no program',
    ['--dir', '/tmp', '--gate', 'x', '--lease-ms', '1', '--'],
    'the program after -- is missing',
  ],
  [
    'a lock of another name',
    ['--cleanup-table', 'holdfast'],
    "--cleanup-table wants CRIU- and a UUID in lower case, not 'holdfast'",
  ],
  [
    'a descriptor that is not free',
    ['--inherit', '2:/dev/null'],
    "--inherit wants a number from 100 to 1023, not '2'",
  ],
])('refuses a command line with %s', async (_what, args, complaint) => {
  const running = workshop.spawn(program, args);
  expect((await running.ended).code).toBe(1);
  expect(running.stderr).toBe(`holdfast-hold: ${complaint}\n`);
});

test('a program that cannot be started, and a process that cannot be entered', async () => {
  for (const [more, complaint] of [
    [['--', '/nothing/criu'], 'cannot run /nothing/criu: No such file or directory'],
    [['--enter', '4194304', '--', '/bin/true'], 'cannot find the process 4194304: No such process'],
  ] as const) {
    const directory = workshop.directory(0o700);
    const running = workshop.spawn(program, [
      '--dir',
      directory,
      '--gate',
      'x',
      '--lease-ms',
      '1000',
      ...more,
    ]);
    expect((await running.ended).code).toBe(1);
    expect(running.stdout).toBe('');
    expect(running.stderr).toBe(`holdfast-hold: ${complaint}\n`);
    expect(readdirSync(directory).filter((name) => name !== 'criu.out')).toEqual([]);
  }
});
