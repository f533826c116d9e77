import { get } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';

/** Polls the S3 endpoint until it serves requests. */
export async function waitUntilAnswering(address: string, port: number, timeoutMs: number): Promise<void> {
  const deadlineMs = Date.now() + timeoutMs;
  while (!(await answers(address, port))) {
    if (Date.now() > deadlineMs)
      throw new Error(`no answer from http://${address}:${port} in ${timeoutMs} ms`);
    await sleep(50);
  }
}

function answers(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const request = get({ host, port, path: '/', agent: false, timeout: 2_000 }, (response) => {
      response.resume();
      response.once('close', () => resolve(response.statusCode === 200));
    });
    request.once('timeout', () => request.destroy());
    request.once('error', () => resolve(false));
  });
}
