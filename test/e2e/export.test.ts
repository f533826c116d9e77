/** A checkpoint leaves its cluster through a pipe, and its job goes on where it never ran. */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { PROJECT_ROOT } from '../../native/paths';
import { openStore } from '../../store/open';
import { readText, Stack, USER } from '../harness/stack';
import { compileVictim } from '../harness/victims';
import { intactGenerations, orphans } from './generations';
import { Leftovers } from './leftovers';
import {
  Brake,
  checkpoint,
  expectSurvival,
  goesOn,
  killJob,
  linesAtLeast,
  restart,
  submit,
  undisturbed,
} from './survival';

const HOLDFAST = `node ${join(PROJECT_ROOT, 'dist', 'cli', 'main.js')}`;
const AGENT_SOCKET = '/run/holdfast/agent.sock';

interface Imported {
  readonly checkpoint: { ckptId: number; job: string; generation: number };
  readonly exportedJob: string;
  readonly totalBytes: number;
  readonly sealed: boolean;
}

let home: Stack;
let abroad: Stack;
let leftovers: Leftovers[];

beforeAll(async () => {
  home = await Stack.start({ nodes: ['node1'], store: 'directory' });
  abroad = await Stack.start({ nodes: ['far1'], store: 'directory' });
  leftovers = [new Leftovers(home, ['node1']), new Leftovers(abroad, ['far1'])];
});
afterEach(() => Promise.all(leftovers.map((each) => each.none())));
afterAll(async () => {
  await abroad?.stop();
  await home?.stop();
});

const storeOf = (stack: Stack) => openStore(`file://${join(stack.directory, 'store')}`);

/** A pipeline from one cluster to the other, as root of a machine that reaches both. */
async function pipeline(command: string) {
  const socket = (stack: Stack, node: string) => stack.node(node).path(AGENT_SOCKET);
  const child = spawn('bash', ['-o', 'pipefail', '-c', command], {
    env: { ...process.env, HOME_SOCKET: socket(home, 'node1'), ABROAD_SOCKET: socket(abroad, 'far1') },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const code = new Promise<number | null>((resolve) => child.once('close', resolve));
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)]);
  return { code: await code, stdout, stderr };
}

test('a killed job goes on in another cluster, and as a copy in its own', async () => {
  const argv = [compileVictim('tree', home.shared), '600', '50', '/tmp/tree'];
  const expected = await undisturbed(home, 'node1', argv);
  const brake = new Brake(home, 'emigrant');
  const { id, output } = await submit(home, {
    ...{ name: 'emigrant', argv, nodes: ['node1'] },
    env: brake.environment,
  });
  await linesAtLeast(output, 10);
  await checkpoint(home, 'node1', id);
  await goesOn(output);
  const second = await checkpoint(home, 'node1', id);
  await goesOn(output);
  await killJob(home, 'node1', id);
  brake.release();

  const cut = await pipeline(
    `${HOLDFAST} export ${second} --socket $HOME_SOCKET | head -c 300000 | ${HOLDFAST} import --socket $ABROAD_SOCKET`,
  );
  expect(cut.stderr).toContain('CORRUPT: the exported stream is truncated');
  expect(await intactGenerations(storeOf(abroad), id)).toEqual([]);
  expect(await orphans(storeOf(abroad), id)).toEqual([]);

  const piped = await pipeline(
    `${HOLDFAST} export ${second} --socket $HOME_SOCKET | cat | ${HOLDFAST} import --json --socket $ABROAD_SOCKET`,
  );
  expect({ code: piped.code, stderr: piped.stderr }).toMatchObject({ code: 0 });
  const abroadImport = JSON.parse(piped.stdout) as Imported;
  expect(abroadImport).toMatchObject({
    ...{ exportedJob: id, sealed: false },
    checkpoint: { job: id, generation: 2 },
  });
  expect(await intactGenerations(storeOf(abroad), id)).toEqual([2]);
  const there = await restart(abroad, abroadImport.checkpoint.ckptId, ['far1']);
  expect(there.stderr).toContain('node1 → far1');
  expectSurvival(abroad, there, output, expected);

  // Its own store vouches for what it exported: the user needs no one to bring it back.
  const file = join(home.shared, 'emigrant.hfx');
  const out = await home.node('node1').run(['sh', '-c', `${HOLDFAST} export ${second} --json > ${file}`], {
    ...USER,
    cwd: home.shared,
  });
  expect({ code: out.code, summary: JSON.parse(out.stderr) }).toMatchObject({
    code: 0,
    summary: { checkpoint: { ckptId: second, job: id }, totalBytes: abroadImport.totalBytes },
  });
  const back = await home.node('node1').run(['sh', '-c', `cat ${file} | ${HOLDFAST} import --json`], {
    ...USER,
    cwd: home.shared,
  });
  const copy = JSON.parse(back.stdout) as Imported;
  expect(copy).toMatchObject({ exportedJob: id, sealed: true, checkpoint: { generation: 2 } });
  expect(copy.checkpoint.job).not.toBe(id);
  const here = await restart(home, copy.checkpoint.job, ['node1']);
  expectSurvival(home, here, output, expected);
  expect(await intactGenerations(storeOf(home), id)).toEqual([1, 2]);
  expect(readText(output)).toBe(expected.stdout);
});
