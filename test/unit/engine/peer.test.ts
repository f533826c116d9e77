import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, openSync, rmSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { peerCredentials } from '../../../native';
import { thrownBy } from './failures';

/** Node has no public way to a socket's descriptor. */
function descriptorOf(socket: Socket): number {
  return (socket as unknown as { _handle: { fd: number } })._handle.fd;
}

test('a connection over a UNIX socket tells pid, uid and gid of the process that made it', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-peer-'));
  const path = join(directory, 'socket');
  const server = createServer().listen(path);
  await once(server, 'listening');
  const code = `require('net').connect(${JSON.stringify(path)})`;
  const client = spawn(process.execPath, ['-e', code], { uid: process.getuid?.(), stdio: 'inherit' });
  const [socket] = (await once(server, 'connection')) as [Socket];
  expect(peerCredentials(descriptorOf(socket))).toEqual({
    pid: client.pid,
    uid: process.getuid?.(),
    gid: process.getgid?.(),
  });
  client.kill('SIGKILL');
  socket.destroy();
  server.close();
  rmSync(directory, { recursive: true });
});

test('anything else is INVALID_ARGUMENT', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const tcp = (server as unknown as { _handle: { fd: number } })._handle.fd;
  for (const fd of [tcp, openSync('/dev/null', 'r'), 1_000_000, -1]) {
    expect(thrownBy(() => peerCredentials(fd))).toMatchObject({ code: 'INVALID_ARGUMENT' });
  }
  server.close();
});
