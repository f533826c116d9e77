/** A failure of a test on a whole stack: its message says what the daemons said. */
import type { Stack } from '../harness/stack';

const LINES = 30;

export async function told(stack: Stack, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (error instanceof Error) error.message += `\n${stack.logs(LINES)}`;
    throw error;
  }
}
