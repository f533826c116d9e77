/** Sockets of a network namespace, by inode: TCP from /proc/net, UNIX peers from ss(8). */
import { mustRun } from '../run';
import { readProc } from './stat';

export interface TcpSocket {
  readonly inode: number;
  readonly localPort: number;
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly listening: boolean;
}

const LISTEN = '0A';

/** "0100007F" (kernel byte order, little endian words) -> "127.0.0.1"; 32 digits -> IPv6 text. */
export function parseKernelAddress(hex: string): string {
  const words = hex.match(/.{8}/g) ?? [];
  const bytes = words.flatMap((word) => (word.match(/../g) ?? []).reverse());
  const numbers = bytes.map((byte) => Number.parseInt(byte, 16));
  if (numbers.length === 4) return numbers.join('.');
  const mapped =
    numbers.slice(0, 10).every((byte) => byte === 0) && numbers[10] === 0xff && numbers[11] === 0xff;
  if (mapped) return numbers.slice(12).join('.');
  return (bytes.join('').match(/.{4}/g) ?? []).join(':');
}

/** Lines of /proc/net/tcp and tcp6 (proc_net(5)). */
export function parseTcpTable(text: string): TcpSocket[] {
  return text
    .split('\n')
    .slice(1)
    .map((line) => line.trim().split(/\s+/))
    .filter((fields) => fields.length > 9)
    .map((fields) => {
      const [, localPort = '0'] = (fields[1] ?? '').split(':');
      const [remote = '', remotePort = '0'] = (fields[2] ?? '').split(':');
      return {
        inode: Number(fields[9]),
        localPort: Number.parseInt(localPort, 16),
        remoteAddress: parseKernelAddress(remote),
        remotePort: Number.parseInt(remotePort, 16),
        listening: fields[3] === LISTEN,
      };
    });
}

/** TCP sockets of the network namespace that `pid` lives in. */
export function tcpSockets(pid: number): TcpSocket[] {
  return ['tcp', 'tcp6'].flatMap((table) => parseTcpTable(readProc(`/proc/${pid}/net/${table}`) ?? ''));
}

/** Inode -> peer inode of connected UNIX sockets, from `ss -xaH` (columns: …, local, inode, peer, peer inode). */
export function parseUnixPeers(text: string): Map<number, number> {
  const peers = new Map<number, number>();
  for (const line of text.split('\n')) {
    const fields = line.trim().split(/\s+/);
    const [state, inode, peer] = [fields[1], fields.at(-3), fields.at(-1)];
    if (state === 'ESTAB' && Number(peer) > 0) peers.set(Number(inode), Number(peer));
  }
  return peers;
}

export async function unixPeers(): Promise<Map<number, number>> {
  return parseUnixPeers(await mustRun('ss', ['-xaH']));
}
