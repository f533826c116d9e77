/** Who hangs while a tree is held counts as dead (invariant F1): stopped at the moments at which others die in deaths.test.ts. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Hold, type HoldLimits } from '../../../agent/criu/hold';
import { findCriu, nativeProgram } from '../../../agent/criu/program';
import { endWatchdog } from '../../../agent/criu/watchdog';
import { ROOT, Steady } from './steady';
import { isThere, nftTables, readProc, statusField, until, Workshop } from './support';

const LIMITS: HoldLimits = { gateMs: 20_000, passMs: 20_000, graceMs: 300, watchdogMs: 200 };

const workshop = new Workshop();
const holds: Held[] = [];
let steady: Steady;

beforeAll(async () => {
  steady = await Steady.start(workshop);
});
afterAll(async () => {
  for (const { directory } of holds) await endWatchdog(directory, 0);
  if (isThere(steady.cell.file.init_pid)) await steady.cell.kill();
  await workshop.end();
});

interface Held {
  readonly hold: Hold;
  readonly directory: string;
  readonly watchdog: number;
  readonly criu: number;
}

/** Resolves when CRIU runs. */
async function dump(limits: Partial<HoldLimits> = {}): Promise<Held> {
  const directory = workshop.directory(0o700);
  const images = workshop.directory(0o700);
  const places = ['--tree', String(ROOT), '--images-dir', images, '-o', 'log'];
  const options = ['--leave-running', '--tcp-established', '--file-locks', '--network-lock', 'nftables'];
  const criuProgram = (await findCriu()).path;
  const hold = new Hold({
    ...{ directory, enterPid: steady.cell.file.init_pid, gate: 'post-dump', leaseMs: 60_000 },
    limits: { ...LIMITS, ...limits },
    environment: {
      PATH: process.env.PATH,
      LD_PRELOAD: nativeProgram('holdfast-preload.so'),
      HOLDFAST_HOLLOW: '1',
    },
    command: [
      ...[criuProgram, 'dump', ...places, ...options, '--manage-cgroups=ignore', '-v4'],
      ...['--action-script', nativeProgram('holdfast-hold')],
    ],
    explain: () => readFileSync(join(images, 'log'), 'utf8').slice(-1000),
  });
  const watchdog = await until(() => watchdogOf(directory));
  const criu = await until(() => lastChild(watchdog));
  const held = { hold, directory, watchdog, criu };
  holds.push(held);
  return held;
}

/** null: it has none. */
function lastChild(pid: number): number | null {
  const last = (readProc(pid, `task/${pid}/children`) ?? '').trim().split(' ').at(-1);
  return last ? Number(last) : null;
}

/** Never 0, which would be this very process and its group. */
function childOf(pid: number): number {
  const child = lastChild(pid);
  if (child === null) throw new Error(`process ${pid} has no child`);
  return child;
}

function watchdogOf(directory: string): number | null {
  try {
    return JSON.parse(readFileSync(join(directory, 'hold.json'), 'utf8')).hold_pid;
  } catch {
    return null;
  }
}

function stop(...pids: number[]): void {
  for (const pid of pids) process.kill(pid, 'SIGSTOP');
}

async function expectThawed(): Promise<void> {
  await steady.goesOn();
  await until(() => nftTables().every((table) => !table.includes('CRIU-')));
}

test.each<[string, (held: Held) => number[]]>([
  ['CRIU', ({ criu }) => [criu]],
  ["CRIU's helper", ({ criu }) => [childOf(criu)]],
  ['the watchdog', ({ watchdog }) => [watchdog]],
  ['the watchdog and CRIU', ({ watchdog, criu }) => [watchdog, criu]],
])('%s stopped at the gate of a dump: the tree runs on when the gate is failed', async (_, whom) => {
  const held = await dump();
  await held.hold.atGate;
  const pids = whom(held);
  stop(...pids);
  await held.hold.fail('because');
  await expectThawed();
  await until(() => ![...pids, held.criu].some(isThere));
});

test('CRIU stopped when its gate is opened is woken, and the checkpoint good', async () => {
  const { hold, criu } = await dump({ passMs: 100 });
  await hold.atGate;
  stop(criu);
  expect(await hold.pass()).toBeGreaterThan(100);
  await expectThawed();
});

test('CRIU that hangs when its gate was opened is killed', async () => {
  const { hold, criu } = await dump({ passMs: 100 });
  await hold.atGate;
  stop(childOf(criu));
  await expect(hold.pass()).rejects.toMatchObject({
    code: 'TIMEOUT',
    message: 'CRIU did not end after its gate was opened within 0.1 s',
  });
  await expectThawed();
});

test('CRIU stopped while it stops the tree is woken to undo that', async () => {
  const { hold, criu } = await dump({ gateMs: 1_000 });
  const [root = 0] = [steady.cell.processes().get(ROOT)];
  await until(() => statusField(root, 'State')[0] === 't');
  stop(criu);
  await expect(hold.atGate).rejects.toMatchObject({ code: 'TIMEOUT' });
  await expectThawed();
});

test('the watchdog stopped, and its agent gone: the next one ends it', async () => {
  const { hold, directory, watchdog } = await dump();
  await hold.atGate;
  stop(watchdog);
  await endWatchdog(directory, 100);
  await expectThawed();
});

test('CRIU stopped, and its watchdog killed', async () => {
  const { hold, watchdog, criu } = await dump();
  await hold.atGate;
  stop(criu);
  process.kill(watchdog, 'SIGKILL');
  await hold.fail('because');
  await expectThawed();
});
