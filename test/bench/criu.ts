/** The peer: CRIU by itself, all of its images, without our preload and without Holdfast. */
import { mkdirSync, rmSync } from 'node:fs';
import { findCriu } from '../../agent/criu/program';
import type { SimNode } from '../nodes/node';

const LIMIT_MS = 600_000;
const LOG = 'criu.log';

export class CriuPeer {
  private constructor(
    private readonly path: string,
    private readonly node: SimNode,
  ) {}

  static async on(node: SimNode): Promise<CriuPeer> {
    return new CriuPeer((await findCriu()).path, node);
  }

  /** `criu dump --leave-running` of everything into an empty directory. Returns how long it took. */
  async dump(pid: number, images: string): Promise<number> {
    rmSync(images, { recursive: true, force: true });
    mkdirSync(images);
    return this.run([
      'dump',
      '--tree',
      String(pid),
      '--leave-running',
      '--shell-job',
      '--images-dir',
      images,
    ]);
  }

  /** Resolves when the process runs again. Its pid must be free. */
  async restore(images: string): Promise<number> {
    return this.run(['restore', '--restore-detached', '--shell-job', '--images-dir', images]);
  }

  private async run(args: readonly string[]): Promise<number> {
    const startMs = performance.now();
    const result = await this.node.run([this.path, ...args, '-o', LOG], { timeoutMs: LIMIT_MS });
    if (result.code !== 0) throw new Error(`criu ${args.join(' ')}: ${result.code}\n${result.stderr}`);
    return performance.now() - startMs;
  }
}
