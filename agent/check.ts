/** `holdfast agent check`: what this node can do, probed, never assumed. */
import { existsSync, mkdtempSync, readFileSync, rmSync, statfsSync } from 'node:fs';
import { release, tmpdir } from 'node:os';
import { join } from 'node:path';
import { trackMethod } from '../native';
import { nativePath } from '../native/paths';
import { findCriu } from './criu/program';
import { probeTranslation } from './network/translation';
import { runTool } from './run';

export interface CheckResult {
  readonly name: string;
  /** `missing` on a required item makes the node unusable. */
  readonly state: 'ok' | 'missing' | 'degraded';
  readonly required: boolean;
  readonly detail: string;
  readonly meaning: string;
  readonly remedy: string;
}

type Probe = () => Promise<Pick<CheckResult, 'state' | 'detail'>>;

interface Check {
  readonly name: string;
  readonly required: boolean;
  readonly meaning: string;
  readonly remedy: string;
  readonly probe: Probe;
}

const TMPFS_MAGIC = 0x01021994;

const ok = (detail: string) => ({ state: 'ok' as const, detail });
const missing = (detail: string) => ({ state: 'missing' as const, detail });
const degraded = (detail: string) => ({ state: 'degraded' as const, detail });

/** "6.18.44-x" is at least 6.7. */
export function kernelAtLeast(text: string, major: number, minor: number): boolean {
  const [a = 0, b = 0] = text.split(/[.-]/).map(Number);
  return a > major || (a === major && b >= minor);
}

function programProbe(program: string, args: readonly string[]): Probe {
  return async () => {
    try {
      const { stdout, stderr } = await runTool(program, args);
      return ok((stdout || stderr).split('\n')[0]?.trim() ?? program);
    } catch {
      return missing(`${program} is not installed`);
    }
  };
}

async function probeCriu(configured?: string) {
  try {
    const criu = await findCriu(configured);
    const { code, stdout, stderr } = await runTool(criu.path, ['check']);
    const last = `${stdout}${stderr}`.trim().split('\n').at(-1) ?? '';
    return code === 0 ? ok(`${criu.path} ${criu.version}`) : missing(`${criu.path} check: ${last}`);
  } catch (error) {
    return missing((error as Error).message);
  }
}

async function probeNative() {
  const programs = ['cell', 'hold', 'lazy', 'root', 'translate'].map((name) => `holdfast-${name}`);
  const names = ['engine.node', ...programs, 'holdfast-preload.so'];
  const absent = names.filter((name) => !existsSync(nativePath(name)));
  return absent.length === 0 ? ok(names.join(' ')) : missing(`not built: ${absent.join(' ')}`);
}

const TRACKING = {
  'write-protect': () => ok('write-protect: userfaultfd and PAGEMAP_SCAN'),
  'soft-dirty': () => degraded('soft-dirty: memory is copied at the hold only'),
  fingerprint: () => degraded('fingerprint: every page is read and compared at each checkpoint'),
};

async function probeTracking() {
  try {
    return TRACKING[trackMethod()]();
  } catch (error) {
    return missing((error as Error).message);
  }
}

async function probeAddresses() {
  try {
    await probeTranslation();
    return ok('in control groups of version 2');
  } catch (error) {
    return degraded((error as Error).message);
  }
}

async function probeFirewall() {
  const table = `holdfast-check-${process.pid}`;
  const script = `table inet ${table} { chain c { type filter hook output priority 0; ip daddr 192.0.2.1 drop; }; }\n`;
  try {
    const { code, stderr } = await runTool('nft', ['-f', '-'], script);
    if (code !== 0) return missing(stderr.trim().split('\n')[0] ?? 'nft failed');
    await runTool('nft', ['delete', 'table', 'inet', table]);
    return ok('filter chains in family inet');
  } catch {
    return missing('nft is not installed');
  }
}

async function probeRunDirectory(path: string) {
  const base = existsSync(path) ? path : existsSync('/run') ? '/run' : tmpdir();
  const probe = mkdtempSync(join(base, 'holdfast-check-'));
  const onTmpfs = statfsSync(probe).type === TMPFS_MAGIC;
  rmSync(probe, { recursive: true });
  return onTmpfs ? ok(`${path} on tmpfs`) : degraded(`${path} is not on tmpfs: a hold waits for its disk`);
}

function capabilities(): bigint {
  return BigInt(`0x${/^CapEff:\s*([0-9a-f]+)/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '0'}`);
}

const CAP_SYS_ADMIN = 21n;
const CAP_SYS_RESOURCE = 24n;
const has = (capability: bigint): boolean => ((capabilities() >> capability) & 1n) === 1n;

function checks(options: { criuPath?: string; runDirectory: string }): Check[] {
  return [
    {
      name: 'root',
      required: true,
      meaning: "freezing and restoring other users' processes",
      remedy: 'run the agent as root',
      probe: async () =>
        process.getuid?.() === 0 && has(CAP_SYS_ADMIN) ? ok('CAP_SYS_ADMIN') : missing('not root'),
    },
    {
      name: 'criu',
      required: true,
      meaning: 'carries process state',
      remedy: 'run deploy/bootstrap, or set HOLDFAST_CRIU=/path/to/criu (>= 4.2)',
      probe: () => probeCriu(options.criuPath),
    },
    {
      name: 'native',
      required: true,
      meaning: 'the memory engine and its helpers',
      remedy: 'npm run build:native',
      probe: probeNative,
    },
    {
      name: 'nftables',
      required: true,
      meaning: 'locks TCP during a hold, fences it at a restart',
      remedy: 'install nftables and load nf_tables',
      probe: probeFirewall,
    },
    {
      name: 'address-translation',
      required: false,
      meaning: 'lets a job that was moved open connections to addresses it knew before',
      remedy: 'a kernel of 5.8 or later with CONFIG_CGROUP_BPF, and cgroup2 mounted',
      probe: probeAddresses,
    },
    {
      name: 'pagemap-scan',
      required: false,
      meaning: 'finds pages in one call; without it every page table entry is read',
      remedy: 'a kernel of 6.7 or later',
      probe: async () =>
        kernelAtLeast(release(), 6, 7) ? ok(release()) : degraded(`${release()}: pagemap is read instead`),
    },
    {
      name: 'write-tracking',
      required: false,
      meaning: 'finds the pages that changed since the last checkpoint while the job runs',
      remedy: 'a kernel of 6.7 or later with CONFIG_USERFAULTFD',
      probe: probeTracking,
    },
    {
      name: 'cap-sys-resource',
      required: false,
      meaning: "reading limits of other users' processes",
      remedy: 'none needed: the preload reads them from /proc',
      probe: async () => (has(CAP_SYS_RESOURCE) ? ok('present') : degraded('absent: limits come from /proc')),
    },
    {
      name: 'run-directory',
      required: false,
      meaning: "keeps CRIU's images during a hold",
      remedy: 'mount a tmpfs there, or choose another --run-dir',
      probe: () => probeRunDirectory(options.runDirectory),
    },
    {
      name: 'tar',
      required: true,
      meaning: 'packs node-local files',
      remedy: 'install tar and zstd',
      probe: programProbe('tar', ['--version']),
    },
    {
      name: 'zstd',
      required: true,
      meaning: 'compresses archives',
      remedy: 'install zstd',
      probe: programProbe('zstd', ['--version']),
    },
    {
      name: 'ss',
      required: true,
      meaning: 'finds socket peers, clears TIME_WAIT',
      remedy: 'install iproute2',
      probe: programProbe('ss', ['-V']),
    },
    {
      name: 'setpriv',
      required: true,
      meaning: "touches files with the user's rights only",
      remedy: 'install util-linux',
      probe: programProbe('setpriv', ['--version']),
    },
  ];
}

export async function checkNode(
  options: { criuPath?: string; runDirectory?: string } = {},
): Promise<CheckResult[]> {
  const runDirectory = options.runDirectory ?? '/run/holdfast';
  return Promise.all(
    checks({ ...options, runDirectory }).map(async ({ probe, ...check }) => ({
      ...check,
      ...(await probe()),
    })),
  );
}

export const isNodeUsable = (results: readonly CheckResult[]): boolean =>
  !results.some((result) => result.required && result.state === 'missing');
