/**
 * Runs a RADOS Gateway in the foreground:
 *   node dist/test/rgw/main.js --directory D [--address A] [--port P] [--keep]
 * prints one JSON line {endpoint, accessKey, secretKey, region, pids} when it is ready, and ends its daemons on
 * SIGTERM, SIGINT or the end of its standard input. Without --keep the directory is removed then.
 */
import { parseArgs } from 'node:util';
import { type Rgw, startRgw } from './rgw';

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      directory: { type: 'string' },
      address: { type: 'string' },
      port: { type: 'string' },
      keep: { type: 'boolean', default: false },
    },
  });
  if (values.directory === undefined) throw new Error('--directory is missing');
  const asked = askedToEnd();
  const { directory, address, keep } = values;
  const port = values.port === undefined ? undefined : Number(values.port);
  const rgw = await startRgw({ directory, address, port, keep });
  console.log(readyLine(rgw));
  await asked;
  await rgw.stop();
}

function askedToEnd(): Promise<void> {
  return new Promise((resolve) => {
    process.once('SIGTERM', () => resolve());
    process.once('SIGINT', () => resolve());
    process.stdin.once('close', () => resolve()).resume();
  });
}

function readyLine({ endpoint, accessKey, secretKey, region, pids }: Rgw): string {
  return JSON.stringify({ endpoint, accessKey, secretKey, region, pids });
}

main().then(
  () => process.exit(0),
  (error: Error) => {
    console.error(error.message);
    process.exit(1);
  },
);
