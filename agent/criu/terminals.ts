/**
 * A restarted tree has no terminal: the one it had belongs to a login that may be gone. CRIU inherits a terminal only
 * for a terminal, so in the images those of outside become files of the same name, for which CRIU inherits a file.
 */
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import {
  DescriptorEntry,
  FileEntry,
  type TerminalEntry,
  TerminalInfoEntry,
} from '../../proto/gen/criu/images';
import { readEntries, writeEntries } from './images';

/** CRIU's numbers of kinds of files (fdinfo.proto). */
const REGULAR = 1;
const TERMINAL = 11;

/** Id of a terminal in tty-info.img -> its resource, for those among the given resources ("tty[RDEV:DEV]"). Pure. */
export function outsideTerminals(ttyInfo: Buffer, resources: readonly string[]): Map<number, string> {
  const found = new Map<number, string>();
  for (const bytes of readEntries(ttyInfo, 'tty-info.img')) {
    const { id, rdev } = TerminalInfoEntry.decode(bytes);
    const resource = resources.find((one) => one.startsWith(`tty[${rdev.toString(16)}:`));
    if (resource !== undefined) found.set(id, resource);
  }
  return found;
}

/** An entry of a regular file. Written by hand, for CRIU requires fields also when they are zero. */
function fileEntry({ id, flags, fown }: TerminalEntry, name: string): Uint8Array {
  const { Varint, LengthDelimited } = WireType;
  const file = new BinaryWriter()
    .tag(1, Varint)
    .uint32(id)
    .tag(2, Varint)
    .uint32(flags)
    .tag(3, Varint) // position
    .uint32(0)
    .tag(5, LengthDelimited)
    .bytes(fown)
    .tag(6, LengthDelimited)
    .string(`/${name}`); // the key to inherit it by is the path without its slash
  return new BinaryWriter()
    .tag(1, Varint)
    .uint32(REGULAR)
    .tag(2, Varint)
    .uint32(id)
    .tag(3, LengthDelimited)
    .bytes(file.finish())
    .finish();
}

/** files.img with these terminals as files named after their resource, and the ids of the changed entries. Pure. */
export function terminalsToFiles(
  files: Buffer,
  terminals: ReadonlyMap<number, string>,
): { files: Buffer; changed: Set<number> } {
  const changed = new Set<number>();
  const entries = readEntries(files).map((bytes) => {
    const { id, tty } = FileEntry.decode(bytes);
    const name = tty && terminals.get(tty.ttyInfoId);
    if (!tty || name === undefined) return bytes;
    changed.add(id);
    return fileEntry(tty, name);
  });
  return { files: writeEntries(files, entries), changed };
}

/** An image of open descriptors in which those of changed entries lead to files. Pure. */
export function retypeDescriptors(descriptors: Buffer, changed: ReadonlySet<number>): Buffer {
  const entries = readEntries(descriptors, 'fdinfo.img').map((bytes) => {
    const entry = DescriptorEntry.decode(bytes);
    if (entry.type !== TERMINAL || !changed.has(entry.id)) return bytes;
    return DescriptorEntry.encode({ ...entry, type: REGULAR }).finish();
  });
  return writeEntries(descriptors, entries);
}

/** Changes the images in a directory. */
export function replaceTerminals(images: string, resources: readonly string[]): void {
  const ttyInfo = join(images, 'tty-info.img');
  if (!existsSync(ttyInfo)) return;
  const path = join(images, 'files.img');
  const terminals = outsideTerminals(readFileSync(ttyInfo), resources);
  const { files, changed } = terminalsToFiles(readFileSync(path), terminals);
  if (changed.size === 0) return;
  writeFileSync(path, files);
  for (const name of readdirSync(images).filter((one) => /^fdinfo-\d+\.img$/.test(one))) {
    const image = join(images, name);
    writeFileSync(image, retypeDescriptors(readFileSync(image), changed));
  }
}
