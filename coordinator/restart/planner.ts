/**
 * Which node takes over from which. Pure: a recorded node keeps its part when it is alive and allowed; the others
 * get distinct, capable nodes. Every choice and every refusal says why.
 */
import type { Node } from '../../proto/gen/holdfast/v1/coordinator';
import { type NodePart, RestartPolicy } from '../../proto/gen/holdfast/v1/manifest';
import { whyIncapable } from './capability';

export interface PlanInput {
  readonly parts: readonly NodePart[];
  /** Alive now. */
  readonly nodes: readonly Node[];
  /** Only these, in order of preference; empty: any. */
  readonly requested: readonly string[];
  /** The job's own wish (JobSpec.nodes), preferred among spares. */
  readonly preferred: readonly string[];
  readonly policy: RestartPolicy;
  /** Trees of other jobs per node: the emptiest spare is taken first. */
  readonly load: ReadonlyMap<string, number>;
  /** Nothing is placed there. */
  readonly drained: ReadonlySet<string>;
}

export interface Placement {
  readonly part: NodePart;
  readonly node: Node;
  readonly reason: string;
}

export type Plan = { ok: true; placements: Placement[] } | { ok: false; reason: string };

export function planRestart(input: PlanInput): Plan {
  const candidates = new Map(input.parts.map((part) => [part.node, candidatesFor(part, input)] as const));
  const assigned = assign(input.parts, candidates);
  const missing = input.parts.find((part) => !assigned.has(part.node));
  if (missing !== undefined) return { ok: false, reason: refusal(missing, input, candidates) };
  const placements = input.parts.flatMap((part) => {
    const node = assigned.get(part.node);
    return node === undefined ? [] : [{ part, node, reason: reasonFor(part, node, input) }];
  });
  return { ok: true, placements };
}

/** The best first. */
function candidatesFor(part: NodePart, input: PlanInput): Node[] {
  return input.nodes
    .filter((node) => whyNot(part, node, input) === null)
    .sort((a, b) => compare(rank(part, a, input), rank(part, b, input)));
}

function whyNot(part: NodePart, node: Node, { drained, requested, policy }: PlanInput): string | null {
  if (drained.has(node.name)) return 'it is drained';
  if (requested.length > 0 && !requested.includes(node.name)) return 'it was not asked for';
  if (requested.length === 0 && policy === RestartPolicy.SAME_NODES && node.name !== part.node) {
    return 'the job restarts on the same nodes only';
  }
  if (part.facts === undefined || node.facts === undefined) return 'its facts are not known';
  return whyIncapable(part.facts, node.facts, memoryBytesOf(part));
}

/** What its trees had in memory at the hold. */
function memoryBytesOf({ trees }: NodePart): number {
  return trees.reduce((sum, { memory }) => sum + (memory?.scannedPages ?? 0) * PAGE_BYTES, 0);
}

const PAGE_BYTES = 4096;

function rank(
  part: NodePart,
  node: Node,
  { parts, requested, preferred, load }: PlanInput,
): (number | string)[] {
  return [
    node.name === part.node ? 0 : 1,
    // Another part's own node is taken last: it is the best one for that part.
    parts.some((other) => other.node === node.name) ? 1 : 0,
    position(requested, node.name),
    position(preferred, node.name),
    load.get(node.name) ?? 0,
    node.name,
  ];
}

function position(names: readonly string[], name: string): number {
  const index = names.indexOf(name);
  return index < 0 ? names.length : index;
}

function compare(a: readonly (number | string)[], b: readonly (number | string)[]): number {
  for (const [i, left] of a.entries()) {
    const right = b[i] ?? left;
    if (left !== right) return left < right ? -1 : 1;
  }
  return 0;
}

/** Bipartite matching by augmenting paths: a part moves on to its next candidate when another has no other. */
function assign(parts: readonly NodePart[], candidates: ReadonlyMap<string, Node[]>): Map<string, Node> {
  const holder = new Map<string, string>();
  const place = (part: string, visited: Set<string>): boolean => {
    const options = (candidates.get(part) ?? []).filter(({ name }) => !visited.has(name));
    // A free one first: who has a place keeps it, unless nothing else is left.
    const free = options.find(({ name }) => !holder.has(name));
    if (free !== undefined) {
      holder.set(free.name, part);
      return true;
    }
    for (const { name } of options) {
      visited.add(name);
      if (!place(holder.get(name) ?? '', visited)) continue;
      holder.set(name, part);
      return true;
    }
    return false;
  };
  for (const part of keepersFirst(parts, candidates)) place(part.node, new Set());
  const byName = new Map([...candidates.values()].flat().map((node) => [node.name, node]));
  return new Map(
    [...holder].flatMap(([name, part]) => {
      const node = byName.get(name);
      return node === undefined ? [] : [[part, node] as const];
    }),
  );
}

function keepersFirst(parts: readonly NodePart[], candidates: ReadonlyMap<string, Node[]>): NodePart[] {
  const keeps = (part: NodePart) => candidates.get(part.node)?.[0]?.name === part.node;
  return [...parts.filter(keeps), ...parts.filter((part) => !keeps(part))];
}

function reasonFor(part: NodePart, node: Node, input: PlanInput): string {
  if (part.node === node.name) return `${part.node} stays: it is alive and capable`;
  const own = input.nodes.find(({ name }) => name === part.node);
  const why =
    own === undefined ? 'it is not connected' : (whyNot(part, own, input) ?? 'another part needs it');
  return `${part.node} → ${node.name}: ${why}`;
}

function refusal(part: NodePart, input: PlanInput, candidates: ReadonlyMap<string, Node[]>): string {
  const capable = candidates.get(part.node) ?? [];
  const reasons = input.nodes
    .filter((node) => !capable.includes(node))
    .map((node) => `${node.name}: ${whyNot(part, node, input)}`);
  if (capable.length > 0) {
    const names = capable.map(({ name }) => name).join(', ');
    const others = reasons.length > 0 ? ` (${reasons.join('; ')})` : '';
    return `${input.parts.length} distinct nodes are needed; for the part of ${part.node} only ${names} would do${others}`;
  }
  const list = reasons.length > 0 ? reasons.join('; ') : 'no node is connected';
  return `no node can take the part of ${part.node} (${list})`;
}
