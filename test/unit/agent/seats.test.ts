/** Seats: whose they are, which one counts, and when they are gone. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { slurmGroup } from '../../../agent/network/translation';
import { processStat } from '../../../agent/proc/stat';
import { Seats } from '../../../agent/seats/seats';

const NAME = 'slurm-sim-12';

test('the newest live process of the user is the seat, until it is given up or ends', async () => {
  const seats = new Seats('n1');
  const seatOf = (pid: number, uid = 7) => ({ pid, uid, startTicks: processStat(pid)?.startTicks ?? 0 });
  const mine = seatOf(process.pid);
  const giveUp = seats.take(NAME, mine);
  expect(seats.require(NAME, 7)).toBe(mine);

  const child = spawn('sleep', ['1000']);
  const newer = seatOf(child.pid ?? 0);
  seats.take(NAME, newer);
  expect(seats.require(NAME, 7)).toBe(newer);
  const gone = once(child, 'exit');
  child.kill('SIGKILL');
  await gone;
  expect(seats.require(NAME, 7)).toBe(mine);
  seats.take(NAME, { ...mine, startTicks: mine.startTicks + 1 });
  expect(seats.require(NAME, 7)).toBe(mine);

  expect(() => seats.require(NAME, 8)).toThrow(expect.objectContaining({ code: 'PERMISSION_DENIED' }));
  giveUp();
  const refused = { code: 'NODE_UNAVAILABLE', message: 'no task of Slurm job 12 runs on node n1' };
  expect(() => seats.require(NAME, 7)).toThrow(expect.objectContaining(refused));
});

test.each(['', '../x', 'slurm-a/b-1', 'slurm-sim-0', 'pbs-1'])('%j is no name of a seat', (name) => {
  const seat = { pid: process.pid, uid: 7, startTicks: 1 };
  expect(() => new Seats('n1').take(name, seat)).toThrow(
    expect.objectContaining({ code: 'INVALID_ARGUMENT' }),
  );
});

const V2 = '30 23 0:26 / /sys/fs/cgroup rw shared:4 - cgroup2 cgroup2 rw';
const SLURM = '/system.slice/slurmstepd.scope/job_12/step_0/user/task_0';

test.each([
  ['a task on version 2', V2, `0::${SLURM}\n`, `/sys/fs/cgroup${SLURM}`],
  [
    'below a mounted part',
    V2.replace(' / /sys', ' /system.slice /sys'),
    `0::${SLURM}\n`,
    `/sys/fs/cgroup${SLURM.slice(13)}`,
  ],
  ['both versions', V2, '4:memory:/slurm/uid_7/job_12\n0::/system.slice/slurmd.service\n', null],
  [
    'version 1 only',
    '31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw',
    '4:memory:/slurm/uid_7/job_12\n',
    null,
  ],
])('the control group of Slurm: %s', (_title, mounts, memberships, group) => {
  expect(slurmGroup(mounts, memberships)).toBe(group);
});
