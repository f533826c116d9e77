/** The fastest that copying, compressing and storing could be on these cores, if nothing else were done. Pure. */

export interface Rates {
  readonly cores: number;
  /** Bytes a second of one core that only reads the memory of the process. */
  readonly copyPerCore: number;
  /** Raw bytes a second of all cores that only compress. */
  readonly compressAll: number;
  /** Stored bytes a second, when what is stored is there already. */
  readonly put: number;
  /** CPU seconds that a stored byte costs the client and the store's daemons, which run on the same cores. */
  readonly putCpuPerByte: number;
  /** Stored bytes of one raw byte. */
  readonly storedPerRaw: number;
}

/**
 * Raw bytes a second. Two bounds, the smaller one counts: what the store takes, and what the cores can do when they do the
 * three kinds of work for every byte and never wait.
 */
export function limitRate(rates: Rates): number {
  const { cores, copyPerCore, compressAll, put, putCpuPerByte, storedPerRaw } = rates;
  const cpuPerRawByte = 1 / copyPerCore + cores / compressAll + storedPerRaw * putCpuPerByte;
  return Math.min(put / storedPerRaw, cores / cpuPerRawByte);
}

export interface Compression {
  readonly storedBytes: number;
  readonly bytesPerSecond: number;
}

/** What `zstd -b1 -q` tells; it counts in millions. */
export function parseZstdBench(text: string): Compression {
  const [, stored, rate] = /^-1\s+(\d+) \([\d.]+\)\s+([\d.]+) MB\/s/m.exec(text) ?? [];
  if (rate === undefined) throw new Error(`zstd -b1 told no figures: ${text.slice(-200)}`);
  return { storedBytes: Number(stored), bytesPerSecond: Number(rate) * 1e6 };
}
