/**
 * Objects as files of one directory, which may lie on shared storage. Whole objects appear by rename(2), or by
 * link(2) where only one writer may win, after their bytes are on the disk (invariant C1).
 */
import { constants } from 'node:fs';
import { link, lstat, open, rename, rmdir, stat, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { HoldfastError } from '../../core/errors';
import { type ByteRange, type ObjectInfo, type ObjectStore, type PutOptions, roomFor } from '../contract';
import { checkKey } from '../key';
import { checkSha256 } from '../sha256';
import { makeDirectory, syncDirectory, syncUpTo, writeNewFile } from './durable';
import { errnoOf, generalError, isMissing, readError, writeError } from './errors';
import { layoutOf, makeLayout, newIncomingPath, removeStaleIncoming } from './layout';
import { listObjects, objectInfo } from './list';

const STALE_INCOMING_MS = 24 * 3600_000;
/** How often a parent directory may vanish under a writer, removed as empty by a delete. */
const VANISHED_PARENT_ATTEMPTS = 10;

export class DirectoryStore implements ObjectStore {
  readonly description: string;
  readonly #layout;
  readonly #now: () => number;

  /** @param root absolute path */
  constructor(root: string, now: () => number = Date.now) {
    this.description = pathToFileURL(root).href;
    this.#layout = layoutOf(root);
    this.#now = now;
  }

  async open(): Promise<void> {
    try {
      await makeLayout(this.#layout);
      await removeStaleIncoming(this.#layout, this.#now(), STALE_INCOMING_MS);
    } catch (error) {
      throw generalError(error, `opening ${this.description}`);
    }
  }

  async close(): Promise<void> {}

  async put(key: string, body: Uint8Array, options: PutOptions = {}): Promise<void> {
    const target = this.#path(key);
    const what = `writing ${key} to ${this.description}`;
    if (options.sha256 !== undefined) await checkSha256(body, options.sha256, `the body given for ${what}`);
    await this.#publish(body, target, what, (incoming) => rename(incoming, target));
  }

  async putIfAbsent(key: string, body: Uint8Array): Promise<boolean> {
    const target = this.#path(key);
    const what = `writing ${key} to ${this.description}`;
    return this.#publish(body, target, what, (incoming) => linkIfAbsent(incoming, target));
  }

  async get(key: string, range?: ByteRange, into?: Buffer): Promise<Buffer> {
    const path = this.#path(key);
    const what = `reading ${key} of ${this.description}`;
    try {
      const file = await open(path, constants.O_RDONLY);
      try {
        const { size } = await file.stat();
        const { offset, length } = range ?? { offset: 0, length: size };
        const room = roomFor(length, into);
        return await readExactly(file, offset, room, `${key} of ${this.description}`);
      } finally {
        await file.close();
      }
    } catch (error) {
      if (isMissing(error)) await this.#requireObjects();
      throw readError(error, what);
    }
  }

  async stat(key: string): Promise<ObjectInfo | null> {
    try {
      const info = await objectInfo(this.#layout.objects, checkKey(key));
      if (info === null) await this.#requireObjects();
      return info;
    } catch (error) {
      throw readError(error, `reading ${key} of ${this.description}`);
    }
  }

  async *list(prefix: string): AsyncIterable<ObjectInfo> {
    try {
      await this.#requireObjects();
      yield* listObjects(this.#layout.objects, prefix);
    } catch (error) {
      throw readError(error, `listing ${prefix} of ${this.description}`);
    }
  }

  async delete(key: string): Promise<void> {
    const path = this.#path(key);
    try {
      await unlink(path);
      await syncDirectory(dirname(path));
      await removeEmptyParents(this.#layout.objects, dirname(path));
    } catch (error) {
      if (!isMissing(error)) throw readError(error, `deleting ${key} of ${this.description}`);
      await this.#requireObjects();
    }
  }

  /** Nothing is missing, and nothing deleted, when the whole store is: a file system that is not mounted looks empty. */
  async #requireObjects(): Promise<void> {
    const found = await stat(this.#layout.objects).catch(() => null);
    if (found?.isDirectory() === true) return;
    throw new HoldfastError(
      'STORE_UNAVAILABLE',
      `the directory of ${this.description} is gone`,
      'mount its file system; a new store is made when Holdfast starts',
    );
  }

  #path(key: string): string {
    return join(this.#layout.objects, checkKey(key));
  }

  /** Writes the body to an incoming file, lets `publish` give it its name, and makes that durable. */
  async #publish<T>(
    body: Uint8Array,
    target: string,
    what: string,
    publish: (incoming: string) => Promise<T>,
  ): Promise<T> {
    const incoming = newIncomingPath(this.#layout);
    try {
      await (await writeNewFile(incoming, body)).close();
      const result = await withParent(dirname(target), () => publish(incoming));
      await syncUpTo(this.#layout.objects, dirname(target));
      return result;
    } catch (error) {
      throw writeError(error, what);
    } finally {
      await unlink(incoming).catch(() => undefined);
    }
  }
}

async function withParent<T>(parent: string, step: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    await makeDirectory(parent);
    try {
      return await step();
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT' || attempt === VANISHED_PARENT_ATTEMPTS) throw error;
    }
  }
}

async function linkIfAbsent(incoming: string, target: string): Promise<boolean> {
  try {
    await link(incoming, target);
    return true;
  } catch (error) {
    if (errnoOf(error) !== 'EEXIST') throw error;
    if ((await lstat(target)).isDirectory()) throw error;
    // Over NFS a repeated request can meet its own link: then our file has a second name.
    return (await lstat(incoming)).nlink === 2;
  }
}

async function readExactly(
  file: {
    read(buffer: Buffer, offset: number, length: number, position: number): Promise<{ bytesRead: number }>;
  },
  offset: number,
  body: Buffer,
  what: string,
): Promise<Buffer> {
  const { length } = body;
  let filled = 0;
  while (filled < length) {
    const { bytesRead } = await file.read(body, filled, length - filled, offset + filled);
    if (bytesRead === 0) {
      throw new HoldfastError(
        'CORRUPT',
        `${what} ends before byte ${offset + length}`,
        'use another generation',
      );
    }
    filled += bytesRead;
  }
  return body;
}

async function removeEmptyParents(objects: string, directory: string): Promise<void> {
  for (let path = directory; path.length > objects.length; path = dirname(path)) {
    try {
      await rmdir(path);
    } catch {
      // Not empty, or somebody else's turn: a directory that stays does no harm.
      return;
    }
  }
}
