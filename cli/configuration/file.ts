/** The configuration file: YAML, one section for each daemon, the settings named like the flags. */
import { closeSync, fstatSync, openSync, readFileSync } from 'node:fs';
import { type Document, isMap, isScalar, LineCounter, parseDocument, type YAMLMap } from 'yaml';
import { HoldfastError } from '../../core/errors';
import { hasSecret, withoutSecrets } from '../../core/secrets';

export const DEFAULT_PATH = '/etc/holdfast/holdfast.yaml';

export const SECTIONS = ['coordinator', 'agent'] as const;
export type SectionName = (typeof SECTIONS)[number];

export interface Entry {
  readonly value: unknown;
  /** PATH:LINE */
  readonly place: string;
}

export interface ConfigurationFile {
  readonly path: string;
  readonly sections: ReadonlyMap<SectionName, ReadonlyMap<string, Entry>>;
}

const MAX_BYTES = 1 << 20;

/**
 * @param path undefined: the default one, which need not be there
 * @returns null when there is none
 * @throws HoldfastError INVALID_ARGUMENT with the line
 */
export function readConfiguration(path: string | undefined): ConfigurationFile | null {
  const file = path ?? DEFAULT_PATH;
  const found = readFile(file, path === undefined);
  if (found === null) return null;
  const sections = parseConfiguration(found.text, file);
  if (found.isOpenToAll) requireNoSecret(sections, file);
  return { path: file, sections };
}

/** @param path for messages. Pure. */
export function parseConfiguration(text: string, path: string): ConfigurationFile['sections'] {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, merge: true, prettyErrors: false });
  const placeAt = (offset: number) => `${path}:${lines.linePos(offset).line}`;
  const [error] = document.errors;
  if (error !== undefined) throw invalid(`${placeAt(error.pos[0])}: ${error.message}`, 'correct the YAML');
  const { contents } = document;
  if (contents === null) return new Map();
  if (!isMap(contents)) throw invalid(`${path}: is not a map of sections`, formOf());
  const values = valuesOf(document, path);
  const sections = new Map<SectionName, ReadonlyMap<string, Entry>>();
  for (const [name, { place, node }] of entriesOf(contents, placeAt)) {
    // What begins with x- is for anchors that the sections share.
    if (name.startsWith('x-')) continue;
    const section = SECTIONS.find((known) => known === name);
    if (section === undefined) throw invalid(`${place}: unknown section ${name}`, formOf());
    const settings = values[name] ?? {};
    if (typeof settings !== 'object' || Array.isArray(settings)) {
      throw invalid(
        `${place}: section ${name} is not a map of settings; received ${withoutSecrets(JSON.stringify(settings))}`,
        formOf(),
      );
    }
    const own = isMap(node) ? entriesOf(node, placeAt) : new Map();
    const entries = Object.entries(settings).map(
      ([key, value]) => [key, { value, place: own.get(key)?.place ?? place }] as const,
    );
    sections.set(section, new Map(entries));
  }
  return sections;
}

/** Anchors are followed here: one that is not there, or too many of them, is an error. */
function valuesOf(document: Document, path: string): Record<string, unknown> {
  try {
    return document.toJS() as Record<string, unknown>;
  } catch (thrown) {
    throw invalid(`${path}: ${(thrown as Error).message}`, 'correct the YAML');
  }
}

function entriesOf(map: YAMLMap, placeAt: (offset: number) => string) {
  return new Map(
    map.items.map(({ key, value }) => {
      const name = isScalar(key) ? String(key.value) : String(key);
      const offset = isScalar(key) ? (key.range?.[0] ?? 0) : 0;
      return [name, { place: placeAt(offset), node: value }] as const;
    }),
  );
}

function formOf(): string {
  return `write sections ${SECTIONS.join(' and ')} with lines "setting: value"; see docs/configuration.md`;
}

/** What a daemon of root believes must not be for others to write. */
function readFile(path: string, mayBeMissing: boolean): { text: string; isOpenToAll: boolean } | null {
  try {
    const file = openSync(path, 'r');
    try {
      const { mode, size, uid } = fstatSync(file);
      if (uid !== 0 && uid !== process.getuid?.()) {
        throw invalid(
          `${path}: belongs to uid ${uid}, neither to root nor to the caller`,
          `chown root ${path}`,
        );
      }
      if ((mode & 0o022) !== 0) {
        const found = (mode & 0o777).toString(8);
        throw invalid(`${path}: others than its owner may write it (mode 0${found})`, `chmod go-w ${path}`);
      }
      if (size > MAX_BYTES) throw invalid(`${path}: has ${size} bytes`, 'name the right file');
      return { text: readFileSync(file, 'utf8'), isOpenToAll: (mode & 0o004) !== 0 };
    } finally {
      closeSync(file);
    }
  } catch (thrown) {
    if (thrown instanceof HoldfastError) throw thrown;
    if (mayBeMissing && (thrown as NodeJS.ErrnoException).code === 'ENOENT') return null;
    const { message } = thrown as NodeJS.ErrnoException;
    throw invalid(`the configuration file cannot be read: ${message}`, 'name the right file with --config');
  }
}

function requireNoSecret(sections: ConfigurationFile['sections'], path: string): void {
  for (const section of sections.values()) {
    for (const [key, { value, place }] of section) {
      if (typeof value !== 'string' || !hasSecret(value)) continue;
      throw invalid(
        `${place}: ${key} holds a password, and every user may read the file`,
        `chmod 0600 ${path}`,
      );
    }
  }
}

function invalid(message: string, remedy: string): HoldfastError {
  return new HoldfastError('INVALID_ARGUMENT', message, remedy);
}
