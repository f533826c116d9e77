import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';

/**
 * A TCP port nobody listens on at the address. It lies below the range the kernel gives to outgoing
 * connections, and is drawn at random, so that instances that start at the same time keep apart.
 */
export async function freePort(address: string): Promise<number> {
  for (let attempt = 0; attempt < 50; attempt += 1) {
    const port = randomInt(20_000, 32_000);
    if (await isFree(address, port)) return port;
  }
  throw new Error(`no free port at ${address} between 20000 and 32000`);
}

export function isFree(address: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen({ host: address, port }, () => server.close(() => resolve(true)));
  });
}
