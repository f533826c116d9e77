/** Outputs as files beside the tests. HOLDFAST_UPDATE_GOLDEN=1 writes them anew; read the difference before you commit it. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export function expectGolden(name: string, output: string): void {
  const path = join(__dirname, '..', 'golden', name);
  if (process.env.HOLDFAST_UPDATE_GOLDEN === '1') writeFileSync(path, output);
  expect(output).toBe(readFileSync(path, 'utf8'));
}
