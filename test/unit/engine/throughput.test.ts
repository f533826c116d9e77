/** Rates on this machine: printed for people, not asserted, since machines differ. */
import { startFill } from '../../../native';
import { captureFrozen, MIB } from './capture-all';
import { buildVictim } from './victim';

const VICTIM_MIB = 256;

const program = buildVictim();
afterAll(() => program.remove());

const gigabytesPerSecond = (bytes: number, ms: number) => `${(bytes / 1e6 / ms).toFixed(2)} GB/s`;

test('rates of capture and fill', async () => {
  const victim = await program.start();
  await victim.ask(`big ${VICTIM_MIB}`, 'big');
  await victim.stop();
  const lines: string[] = [];
  for (const compressionLevel of [1, 0]) {
    for (const threads of [1, 2]) {
      const options = {
        budgetBytes: 96 * MIB,
        packBytes: 16 * MIB,
        chunkPages: 256,
        threads,
        compressionLevel,
      };
      const packs: [number, Buffer][] = [];
      const capture = captureFrozen([{ pid: victim.pid, imagePid: 7 }], options);
      let captureMs = -performance.now();
      let copyMs = 0;
      for (let pack = await capture.next(); pack; pack = await capture.next()) {
        copyMs -= performance.now();
        packs.push([pack.number, Buffer.from(pack.body)]);
        copyMs += performance.now();
        capture.recycle(pack.number);
      }
      captureMs += performance.now();
      const { capturedBytes, storedBytes } = capture.totals();
      const index = Buffer.from(capture.index().body);
      capture.close();

      const twin = await program.start();
      await twin.ask(`big ${VICTIM_MIB}`, 'big');
      await twin.stop();
      const fill = startFill(index, [{ imagePid: 7, pid: twin.pid }], { threads });
      let fillMs = -performance.now();
      await Promise.all(packs.map(([number, body]) => fill.writePack(number, body)));
      fillMs += performance.now();
      fill.close();
      await twin.ended();

      lines.push(
        `level ${compressionLevel}, ${threads} thread(s): capture ${gigabytesPerSecond(capturedBytes, captureMs)} ` +
          `(test copies of packs took ${copyMs.toFixed(0)} of ${captureMs.toFixed(0)} ms), ` +
          `stored ${((100 * storedBytes) / capturedBytes).toFixed(0)} %, fill ${gigabytesPerSecond(capturedBytes, fillMs)}`,
      );
    }
  }
  await victim.ended();
  console.log(lines.join('\n'));
  expect(lines).toHaveLength(4);
}, 120_000);
