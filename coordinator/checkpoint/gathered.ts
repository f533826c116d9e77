/** What the nodes' answers add up to. */
import { HoldfastError } from '../../core/errors';
import { encodeManifest } from '../../core/manifest';
import { VERSION } from '../../core/version';
import type { Finding, Prepared, Released, Uploaded } from '../../proto/gen/holdfast/v1/agent';
import type { Operation } from '../../proto/gen/holdfast/v1/coordinator';
import type { Manifest, NodePart } from '../../proto/gen/holdfast/v1/manifest';
import type { Context } from '../context';
import { assembleManifest } from './assemble';

export class Gathered {
  readonly #blockers: Finding[] = [];
  readonly #advice: Finding[] = [];
  readonly #parts = new Map<string, NodePart>();
  /** The generation whose pages the nodes need not store again; 0: there is none. */
  base = { baseGeneration: 0, baseEpoch: 0 };
  /** By which the job's nodes know each other; the same for all of them. */
  peerAddresses: string[] = [];
  /** What manifestText() is the text of; null before, and when an earlier coordinator made it. */
  manifest: Manifest | null = null;
  uploadedBytes = 0;
  heldMs = 0;

  prepared(node: string, { blockers, advice }: Prepared): void {
    this.#blockers.push(...blockers.map((finding) => ({ ...finding, node })));
    this.#advice.push(...advice.map((finding) => ({ ...finding, node })));
  }

  /** Blockers when they stopped the checkpoint; they come first, and advice helps little then. */
  findings(isBlocked: boolean): Finding[] {
    return isBlocked ? this.#blockers : this.#advice;
  }

  released({ heldMs }: Released): void {
    this.heldMs = Math.max(this.heldMs, heldMs);
  }

  uploaded(node: string, { part, uploadedBytes }: Uploaded): void {
    if (part === undefined) throw new HoldfastError('INTERNAL', `node ${node} uploaded, but sent no part`);
    this.#parts.set(node, part);
    this.uploadedBytes += uploadedBytes;
  }

  /** @throws HoldfastError INTERNAL when the parts do not make the job */
  manifestText({ clock, jobs }: Context, operation: Operation, ckptId: number): string {
    this.manifest = assembleManifest({
      job: jobs.get(operation.job),
      ckptId,
      generation: operation.generation,
      epoch: operation.epoch,
      createdMs: clock.wallMs(),
      version: VERSION,
      parts: this.#parts,
      trees: operation.trees,
    });
    return encodeManifest(this.manifest).toString('utf8');
  }
}
