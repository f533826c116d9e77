/** Seats on all nodes of a Slurm job: one step of it, with one holder a node, that lasts as long as the job needs it. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { HoldfastError } from '../../core/errors';
import { PROJECT_ROOT } from '../../native/paths';
import { parseHolderLine } from './holder';

const TAKE_MS = 60_000;

export interface Allocation {
  /** Holdfast's names, in the order of Slurm's list. */
  readonly nodes: string[];
  release(): Promise<void>;
}

/**
 * @param onSignal Slurm has sent one to a task
 * @throws HoldfastError NODE_UNAVAILABLE when a seat could not be taken, with srun's words
 */
export async function takeAllocation(
  seat: string,
  nodeCount: number,
  onSignal: (signal: number) => void,
): Promise<Allocation> {
  const shape = ['--overlap', `--nodes=${nodeCount}`, `--ntasks=${nodeCount}`, '--ntasks-per-node=1'];
  const holder = [process.execPath, join(PROJECT_ROOT, 'dist', 'cli', 'main.js'), 'slurm-seat', seat];
  const options = [
    ...shape,
    '--mpi=none',
    '--cpu-bind=none',
    '--kill-on-bad-exit=0',
    '--unbuffered',
    '--quiet',
  ];
  const child = spawn('srun', [...options, ...holder], { stdio: ['pipe', 'pipe', 'pipe'] });
  const closed = once(child, 'close').catch(() => []);
  child.stdin.on('error', () => {}); // its end tells
  let words = '';
  child.stderr.on('data', (data: Buffer) => {
    words = (words + data.toString()).slice(-2000);
  });
  const seats = new Map<number, string>();
  const release = async (): Promise<void> => {
    child.stdin.end();
    await closed;
  };
  let late: NodeJS.Timeout | undefined;
  try {
    await new Promise<void>((resolve, reject) => {
      const fail = (why: string) => {
        const message = `the job's nodes could not be prepared: ${words.trim().split('\n').at(-1) || why}`;
        reject(
          new HoldfastError('NODE_UNAVAILABLE', message, 'see that an agent runs on each node of the job'),
        );
      };
      late = setTimeout(() => fail(`only ${seats.size} of ${nodeCount} nodes have answered`), TAKE_MS);
      child.on('error', (error) => fail(error.message));
      child.on('close', () => fail('srun has ended'));
      createInterface({ input: child.stdout }).on('line', (line) => {
        const said = parseHolderLine(line);
        if (said?.kind === 'signal') onSignal(said.signal);
        if (said?.kind !== 'seat') return;
        seats.set(said.nodeId, said.node);
        if (seats.size === nodeCount) resolve();
      });
    });
  } catch (error) {
    child.kill('SIGKILL');
    throw error;
  } finally {
    clearTimeout(late);
  }
  const nodes = [...seats].sort(([a], [b]) => a - b).map(([, node]) => node);
  return { nodes, release };
}
