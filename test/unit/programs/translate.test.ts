/** holdfast-translate: what the processes of a control group name, and what their sockets hold. */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmdirSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { nativeProgram } from '../../../agent/criu/program';
import { groupRoot } from '../../../agent/network/translation';
import { until, Workshop } from './support';

const workshop = new Workshop();
const root = groupRoot(readFileSync('/proc/self/mountinfo', 'utf8')) ?? '';
const group = mkdtempSync(join(root, 'holdfast-test-'));

afterAll(async () => {
  await workshop.end();
  rmdirSync(group);
});

/** Of addresses for documentation: no machine has them. */
const PAIRS = ['192.0.2.1=127.0.0.1', '192.0.2.2=127.0.0.1', '192.0.2.9=127.0.0.9'];

/** Listens as 192.0.2.1, is called as 192.0.2.1 and ::ffff:192.0.2.2 by 192.0.2.9, and tells all addresses it is told. */
const PROGRAM = `
const net = require('node:net'), dgram = require('node:dgram');
const say = (what, ...addresses) => console.log([what, ...addresses].join(' '));
const server = net.createServer((socket) => {
  say('accepted', socket.remoteAddress);
  socket.end();
});
server.listen(0, '192.0.2.1', () => {
  const { address, port } = server.address();
  say('listening', address, port);
  const mapped = net.connect({ host: '::ffff:192.0.2.2', port }, () => {
    say('mapped', mapped.remoteAddress);
    const client = net.connect({ host: '192.0.2.1', port, localAddress: '192.0.2.9' }, () => {
      say('connected', client.localAddress, client.remoteAddress);
      const udp = dgram.createSocket('udp4', (_, from) => say('received', from.address));
      udp.bind(0, '192.0.2.9', () => udp.send('x', udp.address().port, '192.0.2.9'));
    });
  });
});`;

test('the processes of a group use the addresses they know, their sockets those of now', async () => {
  execFileSync(nativeProgram('holdfast-translate'), [group, ...PAIRS]);
  const enter = 'echo $$ > "$1/cgroup.procs"; exec node -e "$2"';
  const running = workshop.spawn('sh', ['-c', enter, 'sh', group, PROGRAM]);
  await until(() => running.stdout.includes('received'));
  const port = /listening 192\.0\.2\.1 (\d+)/.exec(running.stdout)?.[1];
  expect(running.stdout.split('\n').slice(0, -1).sort()).toEqual([
    'accepted 192.0.2.1',
    'accepted 192.0.2.9',
    'connected 192.0.2.9 192.0.2.1',
    `listening 192.0.2.1 ${port}`,
    'mapped ::ffff:192.0.2.1',
    'received 192.0.2.9',
  ]);
  // From outside of the group the socket is where it really is.
  const socket = connect({ host: '127.0.0.1', port: Number(port) });
  await new Promise((resolve, reject) => socket.once('connect', resolve).once('error', reject));
  socket.destroy();
});

test.each([
  [[], 'usage: holdfast-translate'],
  [[group], 'usage: holdfast-translate'],
  [[group, '192.0.2.1'], 'expected ORIGINAL=CURRENT'],
  [[group, '192.0.2.1=::1'], 'expected ORIGINAL=CURRENT'],
  [[group, '192.0.2.1=127.0.0.1=127.0.0.2'], 'expected ORIGINAL=CURRENT'],
  [['/proc/none', '192.0.2.1=127.0.0.1'], 'cannot open the control group /proc/none'],
  [['/tmp', '192.0.2.1=127.0.0.1'], 'cannot attach the program'],
])('refuses %j', (args, complaint) => {
  const { status, stderr } = spawnSync(nativeProgram('holdfast-translate'), args, { encoding: 'utf8' });
  expect({ status, stderr }).toEqual({ status: 1, stderr: expect.stringContaining(complaint) });
});
