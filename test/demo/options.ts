/** What `npm run demo` may be told. */
import { parseArgs } from 'node:util';

export interface DemoOptions {
  /** Where the result goes as JSON; null: nowhere. */
  readonly jsonPath: string | null;
  readonly memoryMib: number;
  readonly iterations: number;
  readonly everySeconds: number;
}

export const USAGE = `Usage: npm run demo -- [options]

An MPI job on two simulated nodes is checkpointed every few seconds into a real S3 server; one of its nodes
is killed; the job goes on, on another node, and ends with the right result.

  --json FILE        write the timeline and the verdict as JSON
  --memory MIB       memory of each rank (default 256)
  --iterations N     length of the job (default 500)
  --every SECONDS    checkpoint interval (default 3)
  --help             this text

Exit code 0 when the output is the same as without checkpoints and failures, else 1.`;

export function parseDemoOptions(argv: readonly string[]): DemoOptions | null {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      json: { type: 'string' },
      memory: { type: 'string', default: '256' },
      iterations: { type: 'string', default: '500' },
      every: { type: 'string', default: '3' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return null;
  return {
    jsonPath: values.json ?? null,
    memoryMib: positive('--memory', values.memory),
    iterations: positive('--iterations', values.iterations),
    everySeconds: positive('--every', values.every),
  };
}

function positive(name: string, text: string): number {
  const value = Number(text);
  if (Number.isInteger(value) && value > 0) return value;
  throw new Error(`${name} takes a whole number above 0, not ${text}`);
}
