/** A real tree, the real CRIU: dumped hollow, filled and alive again. */
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { checkpoint, dump, fill, restore, tree } from './gate';
import { ADOPTING, Outside, ROOT, Steady } from './steady';
import { nftTables, readProc, statusField, TestCell, USER, until, Workshop } from './support';

const workshop = new Workshop();
afterAll(() => workshop.end());

describe('a hollow round trip', () => {
  test('a tree of an ordinary user is dumped, goes on, and lives again elsewhere with all of its memory', async () => {
    const limits = 'ulimit -S -n 321; ulimit -S -c 0; ulimit -t 4000; exec "$@"';
    const steady = await Steady.start(workshop, (own) => ['bash', '-c', limits, 'job', ...own]);
    const image = await checkpoint(workshop, steady);
    expect([...image.memory.keys()]).toEqual([ROOT, ROOT + 1]);

    const names = readdirSync(image.images);
    const sizeOf = (pattern: RegExp): number =>
      names
        .filter((name) => pattern.test(name))
        .reduce((sum, name) => sum + statSync(join(image.images, name)).size, 0);
    // The shared MiB is CRIU's to carry; of the private memory only the [vdso] of both processes is there.
    expect(sizeOf(/^pages-\d+\.img$/)).toBeGreaterThan(1 << 20);
    expect(sizeOf(/^pages-\d+\.img$/)).toBeLessThan((1 << 20) + 64 * 1024);
    expect(sizeOf(/\.img$/)).toBeLessThan((1 << 20) + 128 * 1024);

    const cell = await TestCell.adopt(workshop, ROOT, ADOPTING);
    const { hold } = await restore(workshop, cell, image.images);
    expect(steady.beats()).toBe(image.beats);
    fill(cell, image);
    hold.say('pass');
    expect(await hold.expect('exit')).toMatchObject({ code: 0, outcome: 'passed' });
    await steady.goesOn();
    expect(steady.beats()).toBeGreaterThan(image.beats);

    const members = tree(cell);
    expect(members.map(([inner]) => inner)).toEqual([ROOT, ROOT + 1]);
    const [, [, pid] = [0, 0]] = members;
    expect(statusField(pid, 'Uid').split('\t')).toEqual(Array(4).fill(String(USER.uid)));
    expect(statusField(pid, 'Threads')).toBe('3');
    const limit = (title: string): string | undefined =>
      readProc(pid, 'limits')
        ?.split('\n')
        .find((line) => line.startsWith(title))
        ?.slice(26)
        .trim()
        .split(/\s+/)[0];
    expect([limit('Max open files'), limit('Max core file size'), limit('Max cpu time')]).toEqual([
      '321',
      '0',
      '4000',
    ]);

    steady.stop();
    expect(await cell.exit()).toEqual({ code: 42 });
    expect(steady.output()).toBe('');
  });

  test('the restored root still adopts daemons, stays for them, and knows its code', async () => {
    const script = '"$@"; code=$?; (setsid sh -c "while [ ! -e end ]; do sleep 0.05; done" &) ; exit $code';
    const steady = await Steady.start(workshop, (own) => ['sh', '-c', script, 'job', ...own]);
    const image = await checkpoint(workshop, steady);
    const cell = await TestCell.adopt(workshop, ROOT, ADOPTING);
    const { hold } = await restore(workshop, cell, image.images);
    fill(cell, image);
    hold.say('pass');
    await hold.expect('exit');
    await steady.goesOn();
    steady.stop();
    const root = cell.processes().get(ROOT) ?? 0;
    await until(() => readProc(root, 'comm') === 'hf-root=42\n');
    const daemon = await until(() =>
      [...cell.processes().values()].find((pid) => statusField(pid, 'Name') === 'sh'),
    );
    expect(statusField(daemon, 'PPid')).toBe(String(root));
    writeFileSync(join(steady.directory, 'end'), '');
    expect(await cell.exit()).toEqual({ code: 42 });
  });

  test('a tree whose command has ended is still a tree', async () => {
    const steady = await Steady.start(workshop, (own) => ['sh', '-c', 'setsid "$@" & exit 6', 'job', ...own]);
    await until(() => readProc(steady.cell.file.root_pid ?? 0, 'comm') === 'hf-root=6\n');
    const image = await checkpoint(workshop, steady);
    const cell = await TestCell.adopt(workshop, ROOT, ADOPTING);
    const { hold } = await restore(workshop, cell, image.images);
    fill(cell, image);
    hold.say('pass');
    await hold.expect('exit');
    await steady.goesOn();
    expect(readProc(cell.processes().get(ROOT) ?? 0, 'comm')).toBe('hf-root=6\n');
    steady.stop();
    expect(await cell.exit()).toEqual({ code: 6 });
  });

  test('a dump may also end the tree: CRIU finishes though the cell ends with it', async () => {
    const steady = await Steady.start(workshop);
    const images = workshop.directory(0o700);
    const { hold, table } = await dump(workshop, steady.cell, { images, leaveRunning: false });
    hold.say('pass');
    expect(await hold.expect('exit')).toMatchObject({ code: 0, outcome: 'passed' });
    expect(await steady.cell.exit()).toEqual({ signal: 9 });
    expect(readFileSync(join(images, 'log'), 'utf8')).toContain('Dumping finished successfully');
    // The dead connections must stay silent, so CRIU leaves its lock to us.
    expect(nftTables()).toContain(table);
    await workshop.spawn('nft', ['delete', ...table.split(' ')]).ended;
    expect(nftTables()).not.toContain(table);
  });
});

test('a tree that nobody put into a cell is dumped where it is and goes on', async () => {
  const outside = await Outside.start(workshop);
  const { hold, table } = await dump(workshop, null, { root: outside.pid });
  expect(nftTables()).toContain(table);
  hold.say('pass');
  expect(await hold.expect('exit')).toMatchObject({ code: 0, outcome: 'passed' });
  expect(nftTables()).not.toContain(table);
  await outside.goesOn();
  expect(await outside.ended()).toBe(42);
});
