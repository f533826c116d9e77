/**
 * The fence: while nodes restore, TCP of the job between its nodes is dropped, so that no peer answers a
 * half-restored connection with a reset (invariant B3).
 */
import { isIPv4 } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { HoldfastError } from '../../core/errors';
import { mustRun } from '../run';
import { deleteTable, loadTable } from './nft';

export const fenceTable = (job: string): string => `holdfast-${job}`;

/** nft rules that drop the tree's ports between the given addresses; pure. */
export function fenceRules(addresses: readonly string[], ports: readonly number[]): string {
  for (const address of addresses) {
    if (!isIPv4(address)) throw new HoldfastError('INVALID_ARGUMENT', `not an IPv4 address: ${address}`);
  }
  const peers = [...new Set([...addresses, '127.0.0.0/8'])].join(', ');
  const local = [...new Set(ports)].join(', ');
  const chain = (hook: string, match: string) =>
    `chain ${hook} { type filter hook ${hook} priority -350; policy accept; ${match} drop; }`;
  return [
    chain('input', `ip saddr { ${peers} } tcp dport { ${local} }`),
    chain('output', `ip daddr { ${peers} } tcp sport { ${local} }`),
  ].join('\n');
}

export async function raiseFence(
  job: string,
  addresses: readonly string[],
  ports: readonly number[],
): Promise<void> {
  if (ports.length > 0) await loadTable(fenceTable(job), fenceRules(addresses, ports));
}

export const dropFence = (job: string): Promise<void> => deleteTable(fenceTable(job));

/** Without an owner, but still in the way of a bind: the tree that was killed may have had a peer that never answers. */
const LEFT_OVER_STATES = ['time-wait', 'fin-wait-1', 'fin-wait-2', 'closing', 'last-ack'];

const CLEAR_ATTEMPTS = 20;
const CLEAR_PAUSE_MS = 50;

/**
 * Destroys sockets that an earlier life of the job left on these ports. Call it behind the fence: the resets and what they still
 * retransmit must not reach a peer, where an idle connection of the restored job has the same addresses and sequence numbers.
 * @throws INTERNAL when some do not go: ss reports none of its failures
 */
export async function clearLeftOverSockets(ports: readonly number[]): Promise<void> {
  if (ports.length === 0) return;
  const filter = ports.map((port) => `sport = :${port}`).join(' or ');
  const states = LEFT_OVER_STATES.flatMap((state) => ['state', state]);
  const chosen = ['-H', '-t', '-n', ...states, `( ${filter} )`];
  let left = '';
  for (let attempt = 0; attempt < CLEAR_ATTEMPTS; attempt++) {
    await mustRun('ss', ['-K', ...chosen]);
    left = (await mustRun('ss', chosen)).trim();
    if (left === '') return;
    await delay(CLEAR_PAUSE_MS);
  }
  throw new HoldfastError('INTERNAL', `sockets of an earlier life of the job do not go: ${left}`);
}
