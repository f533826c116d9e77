/** The nodes last seen, so that a coordinator that starts knows whom to wait for. */
import type { Redis } from 'ioredis';
import { Node } from '../../proto/gen/holdfast/v1/coordinator';
import { KEYS } from './keys';

export async function saveNode(redis: Redis, node: Node): Promise<void> {
  await redis.hset(KEYS.nodes, node.name, JSON.stringify(Node.toJSON(node)));
}

export async function loadNodes(redis: Redis): Promise<Node[]> {
  return Object.values(await redis.hgetall(KEYS.nodes)).map((json) => Node.fromJSON(JSON.parse(json)));
}
