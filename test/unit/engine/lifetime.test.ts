/** Objects that nobody closes: forgotten, or cut off by the end of the program or of a worker thread. */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { EXPECTED } from './lifetime-child';
import { buildVictim } from './victim';

const program = buildVictim();
afterAll(() => program.remove());

test.each(Object.entries(EXPECTED))(
  '%s: no crash, no thread left, bodies stay readable',
  async (action, expected) => {
    const victim = await program.start();
    await victim.ask('big 64', 'big');
    await victim.stop();
    const typescript = join(__dirname, '../../typescript.cjs');
    const child = join(__dirname, 'lifetime-child.ts');
    const args = ['--expose-gc', '--require', typescript, child, action, String(victim.pid)];
    const { stdout } = await promisify(execFile)(process.execPath, args);
    expect(JSON.parse(stdout)).toEqual(expected);
    await victim.ended();
  },
);
