/** What is done inside of other processes, and that they do not notice it (native/remote). */
import { execFile } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { promisify } from 'node:util';
import { compileVictim } from '../../harness/victims';
import { processState } from '../engine/victim';
import { type Running, USER, until, Workshop } from '../programs/support';
import { compileWithRemote } from './programs';

/** Seconds on a quiet machine; a busy one takes longer, and that is no failure. */
const STORM_LIMIT_MS = 120_000;

const workshop = new Workshop();
const injector = compileWithRemote('remote_injector', workshop.path);
const killer = compileWithRemote('remote_killer', workshop.path);
const executor = compileWithRemote('remote_exec', workshop.path, ['syscall', 'waitpid', 'remote_has_ended']);
const undisturbed = compileVictim('undisturbed', workshop.path);

afterAll(() => workshop.end());

/** The ordinary user's, who may make a userfaultfd only with the help of /dev/userfaultfd. */
function runAsUser(program: string, ...args: string[]): Running {
  const ids = ['--reuid', String(USER.uid), '--regid', String(USER.gid), '--clear-groups'];
  return workshop.spawn('setpriv', [...ids, program, ...args]);
}

async function inject(pid: number, count: number, ...mode: string[]): Promise<string> {
  const command = [injector, String(pid), String(count), ...mode] as const;
  const { stdout } = await promisify(execFile)(command[0], command.slice(1)).catch((failed) => failed);
  return stdout.trim();
}

async function startUndisturbed(): Promise<Running> {
  const running = runAsUser(undisturbed);
  await until(() => running.stdout.startsWith('ready') || running.child.exitCode !== null);
  expect(running.stdout).toBe(`ready ${running.pid}\n`);
  return running;
}

/** Lets the program end and returns its last line. */
async function verdict(running: Running, signals: string): Promise<string> {
  running.child.stdin?.write(`${signals}\n`);
  await running.ended;
  return running.stdout.split('\n').at(-2) ?? '';
}

test(
  '1000 userfaultfds are taken from a program with many threads in a storm of signals: it notices nothing',
  async () => {
    const running = await startUndisturbed();
    const told = await inject(running.pid, 1000, 'storm');
    expect(told).toMatch(/^taken 1000 signals \d+ \d+$/);
    const signals = told.slice('taken 1000 signals '.length);
    const [first, second] = signals.split(' ').map(Number);
    expect(first).toBeGreaterThan(100);
    const end = await verdict(running, signals);
    expect(end).toMatch(new RegExp(`^signals ${first} ${Number(second) + 1} loops \\d{3,}$`));
  },
  STORM_LIMIT_MS,
);

test('a stopped program stays stopped, has no descriptor more, and goes on when it is continued', async () => {
  const running = await startUndisturbed();
  process.kill(running.pid, 'SIGSTOP');
  await until(() => processState(running.pid) === 'T');
  const before = { files: readdirSync(`/proc/${running.pid}/fd`), maps: mapsOf(running.pid) };
  expect(await inject(running.pid, 20)).toBe('taken 20 signals 0 0');
  // Released, it finds its way back within the kernel; nobody stops it a second time.
  await until(() => processState(running.pid) === 'T');
  expect({ files: readdirSync(`/proc/${running.pid}/fd`), maps: mapsOf(running.pid) }).toEqual(before);
  process.kill(running.pid, 'SIGCONT');
  expect(await verdict(running, '0 0')).toMatch(/^signals 0 1 loops/);
});

test('a process with many threads that is killed at any moment is left at once', async () => {
  const running = workshop.spawn(killer, ['200', '1']);
  await running.ended;
  expect(running.stdout).toMatch(/^killed 200 interrupted [1-9]\d*\n$/);
});

describe('a process in which another program is executed is left within the time limit, and is no reason to give up for ever', () => {
  test.each([
    ['between', 'process \\d+ did not stop: Connection timed out'],
    ['after', 'process \\d+ executes another program'],
  ])('%s', async (moment, reason) => {
    const running = workshop.spawn(executor, [moment]);
    await running.ended;
    expect(running.stdout).toMatch(new RegExp(`^attempt: FAILED: ${reason}\ngoes on\nnext: taken\n$`));
  });
});

function mapsOf(pid: number): string {
  return readFileSync(`/proc/${pid}/maps`, 'latin1');
}
