/** Shared memory without a file whose contents CRIU left to the memory engine: its preload notes each, one a line. */
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Segment } from '../../native';

const recordPath = (directory: string): string => join(directory, 'segments');

/** The file for a dump that begins, in the directory of a tree's capture. */
export function segmentRecord(directory: string): string {
  const path = recordPath(directory);
  rmSync(path, { force: true });
  return path;
}

/** After the dump. */
export function leftOutSegments(directory: string): Segment[] {
  const path = recordPath(directory);
  if (!existsSync(path)) return [];
  return readFileSync(path, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map(parseSegment);
}

/** `MAJOR:MINOR INODE`, decimal. */
export function parseSegment(line: string): Segment {
  const match = /^(\d+):(\d+) (\d+)$/.exec(line);
  if (!match) throw new Error(`cannot read this record of shared memory: ${line}`);
  const [major, minor, inode] = match.slice(1).map(Number) as [number, number, number];
  return { major, minor, inode };
}
