/** criu opens a job's files as root: nothing that the job's user puts in their way gets the job more than that user has. */
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, chownSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { compileVictim } from '../../harness/victims';
import { dump, fill, type Image, restore, tree } from './gate';
import { saveMemory } from './memory';
import { ADOPTING, Beats, ROOT } from './steady';
import { readProc, statusField, TestCell, USER, until, Workshop } from './support';

const workshop = new Workshop();
afterAll(() => workshop.end());
const victim = compileVictim('paths', workshop.path);

/** test/victims/paths.c in a cell. */
class Paths extends Beats {
  constructor(
    readonly cell: TestCell,
    directory: string,
  ) {
    super(directory);
  }

  static async start(
    directory = workshop.directory(0o777),
    cwd = directory,
    ...options: string[]
  ): Promise<Paths> {
    const cell = await TestCell.start(workshop, {
      command: [victim, join(directory, 'status'), join(directory, 'stop'), ...options],
      stay: true,
      firstPid: ROOT,
      cwd,
      output: join(directory, 'out'),
    });
    const paths = new Paths(cell, directory);
    await until(() => paths.beats() > 10);
    return paths;
  }
}

/**
 * Dumps the tree and ends it: when a tree goes on, CRIU takes away the names that it gave to files which had lost
 * theirs, and nobody can restore them.
 */
async function checkpoint(paths: Paths): Promise<Image> {
  const images = workshop.directory(0o700);
  const { hold, table, criuPid } = await dump(workshop, paths.cell, { images, leaveRunning: false });
  const members = tree(paths.cell).filter(
    ([, pid]) => pid !== criuPid && readProc(pid, 'comm') !== 'holdfast-hold\n',
  );
  const memory = new Map(members.map(([inner, pid]) => [inner, saveMemory(pid)]));
  hold.say('pass');
  expect(await hold.expect('exit')).toMatchObject({ code: 0, outcome: 'passed' });
  await paths.cell.running.ended;
  execFileSync('nft', ['delete', ...table.split(' ')]);
  return { images, memory, beats: paths.beats() };
}

async function restart(image: Image, directory: string): Promise<Paths> {
  const cell = await TestCell.adopt(workshop, ROOT, ADOPTING);
  const { hold } = await restore(workshop, cell, image.images);
  fill(cell, image);
  hold.say('pass');
  expect(await hold.expect('exit')).toMatchObject({ code: 0, outcome: 'passed' });
  const restored = new Paths(cell, directory);
  await restored.goesOn();
  return restored;
}

test('everything that has a path comes back, twice, as the user’s and with nothing left over', async () => {
  const original = await Paths.start();
  const { directory } = original;
  const before = readdirSync(directory, { recursive: true }).sort();
  const first = await restart(await checkpoint(original), directory);
  const second = await restart(await checkpoint(first), directory);
  const pid = second.cell.processes().get(ROOT + 1) ?? 0;
  expect(statusField(pid, 'Uid').split('\t')).toEqual(Array(4).fill(String(USER.uid)));
  expect(statusField(pid, 'Groups').trim().split(' ').map(Number)).toEqual(USER.groups);
  // The kernel gives the /proc entries of an undumpable process to root.
  expect(statSync(`/proc/${pid}/status`).uid).toBe(USER.uid);
  expect(readdirSync(directory, { recursive: true }).sort()).toEqual(before);
  for (const name of before) expect(statSync(join(directory, String(name))).uid).toBe(USER.uid);
  second.stop();
  expect(await second.cell.exit()).toEqual({ code: 42 });
  expect(second.output()).toBe('');
});

const ELOOP = 'Too many levels of symbolic links';
const EACCES = 'Permission denied';

interface Attack {
  readonly name: string;
  /** Run by the job's user in the victim's directory; $1 is a directory of root's. */
  readonly script?: string;
  /** The same by root: another user's program happens to do that. */
  readonly rootsScript?: string;
  /** What CRIU's log must say. */
  readonly reason: RegExp;
}

const MAPPED: Attack = {
  name: 'a mapped file has become a link to a file of root’s',
  script: 'rm mapped; ln -s "$1/mapped" mapped',
  reason: new RegExp(`Can't open file \\S+/mapped on restore: ${ELOOP}`),
};

const ATTACKS: readonly Attack[] = [
  MAPPED,
  {
    name: 'so has an open file',
    script: 'rm -f readonly; ln -s "$1/readonly" readonly',
    reason: new RegExp(`Can't open file \\S+/readonly on restore: ${ELOOP}`),
  },
  {
    name: 'a directory has become a link to one of root’s',
    script: 'mv below old; ln -s "$1" below',
    reason: new RegExp(`Can't open file \\S+/below(/held)? on restore: ${ELOOP}`),
  },
  {
    name: 'the directory of a deleted file has become a link: criu would make the file there',
    script: 'rmdir deleted; ln -s "$1" deleted',
    reason: new RegExp(`Can't create ghost regfile: ${ELOOP}[^]*deleted/file`),
  },
  {
    name: 'the directory of a socket has become a link: criu would remove what has its name, and give away its own',
    script: 'mv sockets old; ln -s "$1" sockets',
    reason: /Can't bind .*\/sockets\/listening: Address already in use/,
  },
  {
    name: 'a file of root’s that the user may read only has got the name of a file that was open for writing',
    rootsScript: 'cp -p --remove-destination "$1/mapped" mapped',
    reason: new RegExp(`Can't open file \\S+/mapped on restore: ${EACCES}`),
  },
];

const services: Server[] = [];
afterAll(() => Promise.all(services.map((service) => new Promise((resolve) => service.close(resolve)))));

/** A directory of root's with something for every name that the attacks use, alike in kind, size and mode. */
async function rootsDirectory(): Promise<string> {
  const directory = workshop.directory(0o755);
  const file = (name: string, mode: number): void => {
    writeFileSync(join(directory, name), 'root'.repeat(1024));
    chmodSync(join(directory, name), mode);
  };
  file('mapped', 0o644);
  file('readonly', 0o444);
  file('held', 0o644);
  for (const name of ['listening', 'through', 'relative']) {
    const service = createServer().listen(join(directory, name));
    services.push(service);
    await once(service, 'listening');
  }
  return directory;
}

const contents = (directory: string): unknown[] =>
  readdirSync(directory)
    .sort()
    .map((name) => {
      const path = join(directory, name);
      const status = statSync(path);
      return [name, status.uid, status.mode, status.ino, status.isFile() && readFileSync(path, 'latin1')];
    });

async function attack(
  { script, rootsScript, reason }: Attack,
  directory = workshop.directory(0o777),
  cwd = directory,
  ...options: string[]
): Promise<void> {
  const paths = await Paths.start(directory, cwd, ...options);
  const image = await checkpoint(paths);
  const roots = await rootsDirectory();
  const before = contents(roots);
  const run = (text: string, ids: object): void => {
    execFileSync('sh', ['-ec', text, 'sh', roots], { cwd, ...ids });
  };
  if (script) run(script, { uid: USER.uid, gid: USER.gid });
  if (rootsScript) run(rootsScript, {});
  const cell = await TestCell.adopt(workshop, ROOT, ADOPTING);
  await expect(restore(workshop, cell, image.images)).rejects.toThrow('"outcome":"failed"');
  expect(readFileSync(join(image.images, 'log'), 'utf8')).toMatch(reason);
  cell.running.child.kill('SIGKILL');
  await cell.running.ended;
  expect(paths.beats()).toBe(image.beats);
  expect(contents(roots)).toEqual(before);
}

describe('a restore is refused with the reason, and what is root’s stays as it is, when', () => {
  test.each(ATTACKS)('$name', (each) => attack(each));

  test('a file in a directory where everybody may write, as in /tmp, has become a link', () =>
    attack(MAPPED, workshop.directory(0o1777)));

  test('the working directory has become a link: criu would remove a socket there by its name only', () => {
    const directory = workshop.directory(0o777);
    const cwd = join(directory, 'work');
    mkdirSync(cwd);
    chownSync(cwd, USER.uid, USER.gid);
    const script = 'mv ../work ../old; ln -s "$1" ../work';
    const reason = /Can't bind .* addr relative: Address already in use/;
    return attack({ name: '', script, reason }, directory, cwd, 'relative');
  });
});

test('a dump is refused that would give a nameless file a name in a directory of root’s', async () => {
  const roots = workshop.directory(0o755);
  const nameless = 'mkdir d; exec 3> d/f; ln d/f kept; rm d/f; rmdir d; ln -s "$1" d; exec sleep 60';
  const cwd = workshop.directory(0o777);
  const command = ['sh', '-ec', nameless, 'sh', roots];
  const cell = await TestCell.start(workshop, { command, stay: true, firstPid: ROOT, cwd });
  await until(() => readProc(cell.processes().get(ROOT + 1) ?? 0, 'comm') === 'sleep\n');
  await expect(dump(workshop, cell)).rejects.toThrow(ELOOP);
  expect(readdirSync(roots)).toEqual([]);
  await cell.kill();
});
