/** Facts without which a figure says nothing. */
import { availableParallelism, cpus, release, totalmem } from 'node:os';
import { findCriu } from '../../agent/criu/program';

export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memory_mib: number;
  readonly kernel: string;
  readonly criu: string;
  readonly store: string;
  readonly date: string;
}

export async function machineFacts(store: string): Promise<Machine> {
  return {
    cpu: cpus()[0]?.model.trim() || 'unknown',
    cores: availableParallelism(),
    memory_mib: Math.round(totalmem() / 2 ** 20),
    kernel: release(),
    criu: (await findCriu()).version,
    store,
    date: new Date().toISOString(),
  };
}
