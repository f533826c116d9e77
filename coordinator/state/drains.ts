/** Nodes that are being taken out of service: in memory for decisions, written through to Redis. */
import type { Redis } from 'ioredis';
import { HoldfastError } from '../../core/errors';
import { DrainState } from '../../proto/gen/holdfast/v1/coordinator';
import { Signal } from '../signal';
import { KEYS } from './keys';

export class Drains {
  /** The node's name. */
  readonly changed = new Signal<string>();
  readonly #drains = new Map<string, DrainState>();

  private constructor(private readonly redis: Redis) {}

  static async load(redis: Redis): Promise<Drains> {
    const drains = new Drains(redis);
    for (const [node, json] of Object.entries(await redis.hgetall(KEYS.drains))) {
      drains.#drains.set(node, DrainState.fromJSON(JSON.parse(json)));
    }
    return drains;
  }

  find(node: string): DrainState | undefined {
    return this.#drains.get(node);
  }

  get nodes(): ReadonlySet<string> {
    return new Set(this.#drains.keys());
  }

  /** Holds at once, durable when the promise resolves. */
  async put(node: string, state: DrainState): Promise<void> {
    this.#drains.set(node, state);
    this.changed.emit(node);
    await this.redis.hset(KEYS.drains, node, JSON.stringify(DrainState.toJSON(state)));
  }

  async remove(node: string): Promise<void> {
    this.#drains.delete(node);
    this.changed.emit(node);
    await this.redis.hdel(KEYS.drains, node);
  }

  /** @throws HoldfastError NODE_UNAVAILABLE: nothing new is placed on a node that is drained */
  requireOpen(node: string): void {
    const drain = this.#drains.get(node);
    if (drain === undefined) return;
    const why = drain.reason === '' ? '' : ` (${drain.reason})`;
    throw new HoldfastError(
      'NODE_UNAVAILABLE',
      `node ${node} is drained${why}: nothing is placed there`,
      `name another node, or \`holdfast undrain ${node}\``,
    );
  }
}
