/** What every part of the agent works with. */
import type { Logger } from 'pino';
import type { NodeFacts } from '../proto/gen/holdfast/v1/manifest';
import type { ObjectStore } from '../store/contract';
import type { Criu } from './criu/program';
import type { KeyRing } from './encryption/keyRing';
import type { Lease } from './lease';
import type { MemoryBudget } from './memory/budget';
import type { TreeMemories } from './memory/treeMemory';
import type { UploadLimit } from './memory/uploadLimit';
import type { UploadRate } from './memory/uploadRate';
import type { AgentOptions } from './options';
import type { LazyTrees } from './restart/lazyTrees';
import type { RunDirectory } from './runDirectory';
import type { Seats } from './seats/seats';
import type { SessionPriority } from './sessionPriority';
import type { Trees } from './trees';

export interface AgentContext {
  readonly options: AgentOptions;
  readonly directory: RunDirectory;
  readonly store: ObjectStore;
  readonly criu: Criu;
  readonly lease: Lease;
  readonly trees: Trees;
  readonly lazyTrees: LazyTrees;
  readonly facts: NodeFacts;
  readonly log: Logger;
  readonly memoryBudget: MemoryBudget;
  readonly uploadRate: UploadRate;
  readonly uploadLimit: UploadLimit;
  readonly keyRing: KeyRing;
  readonly memories: TreeMemories;
  readonly priority: SessionPriority;
  readonly seats: Seats;
}
