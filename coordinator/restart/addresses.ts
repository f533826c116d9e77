/** Addresses of before the restart to addresses of after it, and what memory still knows. Pure. */
import { isIPv6 } from 'node:net';
import type { AddressAlias } from '../../proto/gen/holdfast/v1/manifest';
import type { Placement } from './planner';

/** By position within a family, so the primary address becomes the primary one. Unchanged ones are included. */
export function addressMap(placements: readonly Placement[]): AddressAlias[] {
  return placements.flatMap(({ part, node }) => {
    const before = part.facts?.addresses ?? [];
    const after = node.facts?.addresses ?? [];
    return [false, true].flatMap((isV6) => {
      const ofFamily = (address: string) => isIPv6(address) === isV6;
      const targets = after.filter(ofFamily);
      return before.filter(ofFamily).flatMap((original, i) => {
        const current = targets[i];
        return current === undefined ? [] : [{ original, current }];
      });
    });
  });
}

/**
 * Every address the job's memory may still use, and where it leads now: earlier aliases follow the map on, recorded
 * addresses that changed are added, behind. One that nothing but itself leads to needs no translation.
 */
export function cumulativeAliases(
  earlier: readonly AddressAlias[],
  map: readonly AddressAlias[],
): AddressAlias[] {
  const now = new Map(map.map(({ original, current }) => [original, current]));
  const aliases = new Map(earlier.map(({ original, current }) => [original, now.get(current) ?? current]));
  for (const [original, current] of now) {
    // What memory knew first keeps its meaning when a later node happened to have the same address.
    if (!aliases.has(original)) aliases.set(original, current);
  }
  const all = [...aliases].map(([original, current]) => ({ original, current }));
  // The first name of an address is the one the job is told: an address that has come back to itself, too.
  return all.filter((own) => all.some((one) => one.current === own.current && one.original !== one.current));
}

/** All addresses the fence has to know: of the nodes now, and of the recorded ones. */
export function peerAddresses(placements: readonly Placement[]): string[] {
  const all = placements.flatMap(({ part, node }) => [
    ...(node.facts?.addresses ?? []),
    ...(part.facts?.addresses ?? []),
  ]);
  return [...new Set(all)];
}
