/** What each node is told to set up. Pure. */
import type { Stage } from '../../proto/gen/holdfast/v1/agent';
import type { AddressAlias } from '../../proto/gen/holdfast/v1/manifest';
import { addressMap, peerAddresses } from './addresses';
import type { Placement } from './planner';
import { appendedFiles } from './sharedFiles';

export interface StageInput {
  readonly placements: readonly Placement[];
  readonly incarnation: number;
  /** Cumulative, as of after this restart. */
  readonly aliases: readonly AddressAlias[];
  readonly outputPath: string;
  readonly lazy: boolean;
  /** Empty: none. */
  readonly seat: string;
}

/** By the new node's name. Address map and shared files are the same on all nodes; one node truncates. */
export function stagesFor({
  placements,
  incarnation,
  aliases,
  outputPath,
  lazy,
  seat,
}: StageInput): Map<string, Stage> {
  const map = addressMap(placements);
  const peers = peerAddresses(placements);
  const files = appendedFiles(placements.map(({ part }) => part));
  const stages = placements.map(({ part, node }) => {
    const stage: Stage = {
      part,
      addressMap: map,
      peerAddresses: peers,
      incarnation,
      rollBackFiles: part.trees.some((tree) => tree.main),
      aliases: [...aliases],
      outputPath,
      sharedFiles: files,
      lazy,
      seat,
    };
    return [node.name, stage] as const;
  });
  return new Map(stages);
}
