/**
 * The task that srun starts on each node of a job of several: it takes a seat there, says so on stdout, and passes on what
 * Slurm tells it by signals. It ends with its input, that is with whoever started srun.
 */
import { constants } from 'node:os';
import { chooseSocket } from '../client/socket';
import { type HeldSeat, takeSeat } from './seat';

/** What a holder says, one line each. */
export type HolderLine =
  | { readonly kind: 'seat'; readonly nodeId: number; readonly node: string }
  | { readonly kind: 'signal'; readonly signal: number };

/** null for a line of somebody else. Pure. */
export function parseHolderLine(line: string): HolderLine | null {
  const [kind, first = '', node = ''] = line.trim().split(' ');
  if (kind === 'seat' && /^\d+$/.test(first) && node !== '') return { kind, nodeId: Number(first), node };
  if (kind === 'signal' && /^\d+$/.test(first)) return { kind, signal: Number(first) };
  return null;
}

/** Returns the exit code. */
export async function holdSeat(
  [name = '']: readonly string[],
  environment: NodeJS.ProcessEnv = process.env,
): Promise<number> {
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGUSR1', 'SIGUSR2'] as const)
    process.on(signal, () => process.stdout.write(`signal ${constants.signals[signal]}\n`));
  const socket = await chooseSocket(environment.HOLDFAST_SOCKET);
  const seat: HeldSeat = await takeSeat(socket, name);
  process.stdout.write(`seat ${environment.SLURM_NODEID ?? 0} ${seat.node}\n`);
  for await (const _ of process.stdin);
  seat.release();
  return 0;
}
