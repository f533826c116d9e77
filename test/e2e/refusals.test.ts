/** What cannot be captured is refused before anything is frozen (F4), with the object, the cause and a remedy. */
import { join } from 'node:path';
import { Stack, USER } from '../harness/stack';
import { compileVictim } from '../harness/victims';
import { Leftovers } from './leftovers';
import { startUnprepared, type Unprepared } from './processes';
import { goesOn } from './survival';

let stack: Stack;
let leftovers: Leftovers;
let refused: string;

beforeAll(async () => {
  stack = await Stack.start({ nodes: ['node1'], store: 'directory' });
  leftovers = new Leftovers(stack, ['node1']);
  refused = compileVictim('refused', stack.shared);
});
afterEach(() => leftovers.none());
afterAll(() => stack?.stop());

const start = (name: string, argv: string[], lines?: number) =>
  startUnprepared(stack, 'node1', { name, argv: [refused, ...argv], lines });

const checkpointOf = (pid: number) => stack.holdfast('node1', ['checkpoint', String(pid)], USER);

async function expectRefusal({ pid, output }: Unprepared, object: RegExp, remedy: RegExp): Promise<void> {
  const descriptor = /^fd (\d+)$/m.exec(
    await stack
      .node('node1')
      .run(['cat', output])
      .then((r) => r.stdout),
  )?.[1];
  const { code, stderr } = await checkpointOf(pid);
  expect({ code, stderr }).toMatchObject({ code: 5 });
  const finding = stderr.split('\n').find((line) => line.includes(`pid ${pid} fd ${descriptor} `));
  expect(finding).toMatch(object);
  expect(finding).toMatch(remedy);
  await goesOn(output);
  expect(
    stack
      .node('node1')
      .processes()
      .find((one) => one.pid === pid)?.state,
  ).toMatch(/[RS]/);
}

test('a UNIX connection to a process outside', async () => {
  const socket = join('/tmp', 'outside.socket');
  const outside = await start('outside', ['listen', socket], 1);
  const inside = await start('inside', ['connect', socket]);
  await expectRefusal(inside, /UNIX socket.* outside the tree/, /close that connection/);
  await Promise.all([inside.kill(), outside.kill()]);
});

test('an io_uring instance', async () => {
  const ring = await start('io-uring', ['io_uring']);
  await expectRefusal(ring, /io_uring/, /switch the I\/O library/);
  await ring.kill();
});

test('an open file whose name is gone while it has another one', async () => {
  const path = join(stack.shared, 'renamed');
  const renamed = await start('other-name', ['renamed', path]);
  await expectRefusal(renamed, /renamed \(deleted\).*its name is gone/, /remove its other names/);
  // Without any name the file itself travels.
  await stack.node('node1').run(['rm', `${path}.other`]);
  const { code, stderr } = await checkpointOf(renamed.pid);
  expect({ code, stderr }).toMatchObject({ code: 0 });
  await renamed.kill();
});

test("another user's process is not one's to checkpoint", async () => {
  const root = { uid: 0, gid: 0 };
  const { pid, output, kill } = await startUnprepared(stack, 'node1', {
    ...{ name: 'root', argv: ['sh', '-c', 'while echo line; do sleep 0.02; done'], user: root },
  });
  const { code, stderr } = await checkpointOf(pid);
  expect({ code, stderr }).toEqual({
    code: 4,
    stderr: expect.stringContaining(`process ${pid} belongs to uid 0`),
  });
  await goesOn(output);
  await kill();
});

test('a process that is not there', async () => {
  const { code, stderr } = await checkpointOf(4_000_000);
  expect({ code, stderr }).toEqual({ code: 3, stderr: expect.stringContaining('no process 4000000') });
});
