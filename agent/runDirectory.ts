/**
 * Everything the agent keeps on a node lives under its run directory (a tmpfs):
 *   bin/HASH/holdfast-root   the root program of trees, by content
 *   cells/JOB.TREE.N/        one per cell: cell.json, exit.json, tree.json (once it runs)
 *   ops/JOB-EPOCH/           one per operation in flight: intent.json (L1), images, logs
 *   epochs/JOB               the largest epoch seen (E1)
 *   nat/JOB.N                control groups in which addresses of before are translated for a job's incarnation N
 */
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { HoldfastError } from '../core/errors';

const NAME = /^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/;

/** A name from a peer that is about to become a part of a path. */
export function checkedName(name: string, what: string): string {
  if (!NAME.test(name)) throw new HoldfastError('INVALID_ARGUMENT', `not a valid ${what}: ${name}`);
  return name;
}

export class RunDirectory {
  constructor(readonly path: string) {
    for (const part of ['', 'bin', 'cells', 'ops', 'epochs', 'nat'])
      mkdirSync(join(path, part), { recursive: true, mode: 0o711 });
  }

  get cells(): string {
    return join(this.path, 'cells');
  }

  get operations(): string {
    return join(this.path, 'ops');
  }

  cell(job: string, treeId: string, incarnation: number): string {
    return join(this.cells, `${checkedName(job, 'job')}.${checkedName(treeId, 'tree')}.${incarnation}`);
  }

  operation(job: string, epoch: number): string {
    return join(this.operations, `${checkedName(job, 'job')}-${epoch}`);
  }

  epochFile(job: string): string {
    return join(this.path, 'epochs', checkedName(job, 'job'));
  }

  get translations(): string {
    return join(this.path, 'nat');
  }

  translationFile(job: string, incarnation: number): string {
    return join(this.translations, `${checkedName(job, 'job')}.${incarnation}`);
  }
}

/** Replaces a small file in one step. */
export function writeJson(path: string, value: unknown): void {
  const temporary = `${path}.tmp-${process.pid}`;
  writeFileSync(temporary, JSON.stringify(value), { mode: 0o600 });
  renameSync(temporary, path);
}

/** The parsed file, or null when it is not there. */
export function readJson(path: string): unknown {
  return existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')) : null;
}
