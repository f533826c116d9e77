/**
 * Standard input -> objects of 16 MiB, some of them at a time: node putProcess.js STORE_URL KEY_PREFIX
 * Prints {bytes, cpu_ms}. The part of the peer's pipeline that a shell has no program for.
 */
import { openStore } from '../../store/open';

const SEGMENT_BYTES = 16 << 20;
const PARALLEL = 4;

async function main([url = '', prefix = '']: readonly string[]): Promise<void> {
  const store = openStore(url);
  await store.open();
  const storing = new Set<Promise<void>>();
  const free: Buffer[] = [];
  let [bytes, count, filled] = [0, 0, 0];
  let buffer: Buffer = Buffer.allocUnsafeSlow(SEGMENT_BYTES);

  const send = async () => {
    const [body, whole] = [buffer.subarray(0, filled), buffer];
    count += 1;
    const put = store.put(`${prefix}/${String(count).padStart(5, '0')}`, body).then(() => {
      storing.delete(put);
      free.push(whole);
    });
    storing.add(put);
    if (storing.size >= PARALLEL) await Promise.race(storing);
    buffer = free.pop() ?? Buffer.allocUnsafeSlow(SEGMENT_BYTES);
    filled = 0;
  };

  for await (const chunk of process.stdin as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    for (let taken = 0; taken < chunk.length; ) {
      const copied = chunk.copy(buffer, filled, taken);
      taken += copied;
      filled += copied;
      if (filled === SEGMENT_BYTES) await send();
    }
  }
  if (filled > 0) await send();
  await Promise.all(storing);
  const { user, system } = process.cpuUsage();
  process.stdout.write(`${JSON.stringify({ bytes, cpu_ms: (user + system) / 1000 })}\n`);
}

main(process.argv.slice(2)).then(
  () => process.exit(0),
  (error: Error) => {
    process.stderr.write(`${error.message}\n`);
    process.exit(1);
  },
);
