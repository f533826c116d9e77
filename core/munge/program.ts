/** munge(1) and unmunge(1): credentials say who made them, to everybody with the same key. */
import { HoldfastError } from '../errors';
import { runTool, type ToolResult } from '../program';
import { MUNGE_TTL_S } from './binding';

const TIMEOUT_MS = 5_000;

export interface Decoded {
  readonly uid: number;
  readonly gid: number;
  readonly encodedMs: number;
  readonly payload: string;
}

const at = (socket: string | undefined): string[] => (socket === undefined ? [] : [`--socket=${socket}`]);

/** @throws HoldfastError UNAUTHENTICATED when MUNGE does not run here */
export async function encodeCredential(payload: string, socket?: string): Promise<string> {
  const result = await run('munge', [...at(socket), `--ttl=${MUNGE_TTL_S}`], payload);
  if (result.code === 0) return result.stdout.trim();
  throw failure('munge', result);
}

/** @throws HoldfastError UNAUTHENTICATED for one that is expired, replayed, forged or malformed */
export async function decodeCredential(credential: string, socket?: string): Promise<Decoded> {
  const keys = '--keys=STATUS,UID,GID,ENCODE_TIME';
  const result = await run('unmunge', [...at(socket), '--numeric', keys], credential);
  if (result.code !== 0) throw failure('unmunge', result);
  // The payload is the sender's: only what is before the first empty line is MUNGE's word.
  const end = result.stdout.indexOf('\n\n');
  const fields = new Map(
    result.stdout
      .slice(0, Math.max(0, end))
      .split('\n')
      .map((line): [string, number] => {
        const [name = '', value = ''] = line.split(':');
        return [name, /^ *[0-9]+$/.test(value) ? Number(value) : Number.NaN];
      }),
  );
  const field = (name: string) => fields.get(name) ?? Number.NaN;
  const decoded = { uid: field('UID'), gid: field('GID'), encodedMs: field('ENCODE_TIME') * 1000 };
  // 2^32 - 1 is the kernel's "no id".
  const isKnown = [decoded.uid, decoded.gid].every((id) => id >= 0 && id < 0xffff_ffff);
  if (field('STATUS') === 0 && isKnown && decoded.encodedMs > 0)
    return { ...decoded, payload: result.stdout.slice(end + 2) };
  throw new HoldfastError('INTERNAL', 'unmunge answered something that cannot be understood');
}

/** Credentials are no arguments: those can be seen by everybody. */
async function run(program: string, args: readonly string[], input: string): Promise<ToolResult> {
  try {
    return await runTool(program, args, input, TIMEOUT_MS);
  } catch (cause) {
    const { message } = cause as Error;
    const remedy = 'install MUNGE here and start munged, or call the agent of a node';
    throw new HoldfastError('UNAUTHENTICATED', `MUNGE cannot be used: ${message}`, remedy, { cause });
  }
}

function failure(program: string, { code, stderr, stdout }: ToolResult): HoldfastError {
  const status = /^STATUS: +([0-9]+)/m.exec(stdout)?.[1];
  const told =
    stderr
      .trim()
      .replace(/^.*?: (Error|Warning|Info): /, '')
      .split('\n')[0] ?? '';
  const reason = STATUS[Number(status ?? code)] ?? (told || `status ${status ?? code}`);
  return new HoldfastError(
    'UNAUTHENTICATED',
    `${program}: ${reason}`,
    REMEDIES[Number(status ?? code)] ?? '',
  );
}

/** Of munge.h. */
const STATUS: Readonly<Record<number, string>> = {
  15: 'the credential has expired',
  16: 'the credential is from the future: the clocks differ',
  17: 'the credential was used before',
};

const REMEDIES: Readonly<Record<number, string>> = {
  6: 'start munged',
  15: 'compare the clocks of both machines',
  16: 'compare the clocks of both machines',
};
