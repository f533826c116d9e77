/** The rates behind the limit (limit.ts), measured with the victim's own memory and the store of the benchmark. */
import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { PROJECT_ROOT } from '../../native/paths';
import { compileVictim } from '../harness/victims';
import { parseZstdBench, type Rates } from './limit';
import type { Stage } from './stage';
import type { BenchVictim } from './victim';

const PUT_PROGRAM = join(PROJECT_ROOT, 'dist', 'test', 'bench', 'putProcess.js');
const LIMIT_MS = 600_000;
const STORE_NODE = 'head';
const DAEMONS = /(^|\/)(radosgw|ceph-osd|ceph-mon)$/;
/** USER_HZ of every Linux on x86_64: what /proc/PID/stat counts in. */
const TICKS_PER_SECOND = 100;
const CHUNK_BYTES = 2 ** 20;

export interface PutResult {
  readonly bytes: number;
  readonly cpu_ms: number;
  readonly tookMs: number;
}

/** Runs a shell command in the node whose output goes to the store; `$0` and `$@` are its arguments. */
export async function putOutput(
  stage: Stage,
  prefix: string,
  command: string,
  ...args: string[]
): Promise<PutResult> {
  const { url, environment } = stage.stack.storeAccess;
  const pipeline = ['bash', '-c', `set -o pipefail; ${command} | node "$PUT" "$URL" "$PREFIX"`, ...args];
  const env = { ...environment, PUT: PUT_PROGRAM, URL: url, PREFIX: prefix };
  const startMs = performance.now();
  const result = await stage.node.run(pipeline, { env, timeoutMs: LIMIT_MS });
  if (result.code !== 0) throw new Error(`${command} | put: ${result.code}\n${result.stderr}`);
  return { ...(JSON.parse(result.stdout) as PutResult), tookMs: performance.now() - startMs };
}

/** @param sample a file with a part of the victim's memory, on tmpfs */
export async function measureRates(stage: Stage, victim: BenchVictim, sample: string): Promise<Rates> {
  const { size, compressAll, storedPerRaw } = await compression(stage, sample);
  const before = daemonCpuSeconds(stage);
  const put = await putOutput(stage, `limit/${Date.now()}`, 'cat "$0" "$0"', sample);
  const cpuSeconds = daemonCpuSeconds(stage) - before + put.cpu_ms / 1000;
  if (put.bytes !== 2 * size) throw new Error(`${put.bytes} bytes were put, not ${2 * size}`);
  return {
    ...{ cores: availableParallelism(), compressAll, storedPerRaw },
    copyPerCore: await copyRate(stage, victim),
    put: (put.bytes * 1000) / put.tookMs,
    putCpuPerByte: cpuSeconds / put.bytes,
  };
}

/** All cores at once, each with a program of its own, in memory, in pieces as large as the engine's. */
async function compression(stage: Stage, sample: string) {
  const size = readFileSync(sample).length;
  const argv = ['zstd', '-b1', '-i1', '-q', `-B${CHUNK_BYTES}`, sample];
  const runs = Array.from({ length: availableParallelism() }, () =>
    stage.node.run(argv, { timeoutMs: LIMIT_MS }),
  );
  const told = (await Promise.all(runs)).map(({ stdout, stderr }) => parseZstdBench(stdout + stderr));
  return {
    size,
    compressAll: told.reduce((sum, { bytesPerSecond }) => sum + bytesPerSecond, 0),
    storedPerRaw: (told[0]?.storedBytes ?? size) / size,
  };
}

async function copyRate(stage: Stage, victim: BenchVictim): Promise<number> {
  const program = compileVictim('copy_rate', stage.memory);
  const { stdout, code } = await stage.node.run([program, String(victim.pid)]);
  const [bytes = 0, ns = 0] = stdout.split(' ').map(Number);
  if (code !== 0 || ns === 0) throw new Error(`copy_rate ended with ${code}`);
  return (bytes * 1e9) / ns;
}

function daemonCpuSeconds(stage: Stage): number {
  const head = stage.stack.node(STORE_NODE);
  return head
    .processes()
    .filter(({ argv }) => DAEMONS.test(argv[0] ?? ''))
    .map(({ pid }) => {
      // The name in brackets may have blanks: count from its end.
      const fields =
        readFileSync(head.path(`/proc/${pid}/stat`), 'utf8')
          .split(') ')[1]
          ?.split(' ') ?? [];
      return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
    })
    .reduce((sum, seconds) => sum + seconds, 0);
}
