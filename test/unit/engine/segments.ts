/** Shared memory without a file, seen from all of its mappers. */
import { readFileSync } from 'node:fs';
import type { Segment } from '../../../native';
import { isSegment, type MapLine, mapLines } from './proc-maps';

const PAGE = 4096;

export interface View extends MapLine {
  readonly pid: number;
}

export interface SharedSegment {
  readonly id: Segment;
  readonly contents: Buffer;
  readonly views: readonly View[];
  /** Whether a checkpoint would leave its contents to the engine: maps that can be written show all of it. */
  readonly isLeftOut: boolean;
}

/** Pages by address. */
export type Space = Map<number, Buffer>;

export function segmentsOf(pids: readonly number[]): SharedSegment[] {
  const views = new Map<number, View[]>();
  for (const pid of pids)
    for (const map of mapLines(pid).filter(isSegment))
      views.set(map.inode, [...(views.get(map.inode) ?? []), { ...map, pid }]);
  return [...views.values()].map(segmentOf);
}

function segmentOf(views: View[]): SharedSegment {
  const [{ pid, start, end, major, minor, inode }] = views as [View];
  const contents = readFileSync(`/proc/${pid}/map_files/${start.toString(16)}-${end.toString(16)}`);
  return { id: { major, minor, inode }, contents, views, isLeftOut: isAllWritable(views, contents.length) };
}

function isAllWritable(views: readonly View[], size: number): boolean {
  const writable = views.filter(({ protection }) => (protection & 3) === 3);
  let shown = 0;
  for (const { start, end, offset } of writable.sort((a, b) => a.offset - b.offset))
    if (offset <= shown) shown = Math.max(shown, offset + end - start);
  return shown >= size;
}

/** What is wrong with the segments in an index. Takes their pages out of the processes' pages by pid. */
export function storedDifferences(segments: readonly SharedSegment[], spaces: Map<number, Space>): string[] {
  return segments.filter(({ isLeftOut }) => isLeftOut).flatMap((segment) => storedWrongly(segment, spaces));
}

function storedWrongly({ id, contents, views }: SharedSegment, spaces: Map<number, Space>): string[] {
  const wrong: string[] = [];
  const stored: Space = new Map();
  for (const { pid, start, end, offset } of views) {
    for (let address = start; address < end; address += PAGE) {
      const page = spaces.get(pid)?.get(address);
      if (!page) continue;
      spaces.get(pid)?.delete(address);
      const at = offset + address - start;
      if (stored.has(at)) wrong.push(`page ${at / PAGE} of segment ${id.inode} is stored twice`);
      stored.set(at, page);
    }
  }
  const zeros = Buffer.alloc(PAGE);
  for (let at = 0; at < contents.length; at += PAGE)
    if (!contents.subarray(at, at + PAGE).equals(stored.get(at) ?? zeros))
      wrong.push(
        `page ${at / PAGE} of segment ${id.inode} ${stored.has(at) ? 'has other contents' : 'is missing'}`,
      );
  return wrong;
}
