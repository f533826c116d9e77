/** Capture of one tree: memory while it runs, hollow dump to the gate, the rest while it is frozen, images afterwards. */
import { createReadStream, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { addAbortSignal, type Readable } from 'node:stream';
import type { EncryptionKeys } from '../../core/encryption/keys';
import { sealObject } from '../../core/encryption/objects';
import { faultPoint } from '../../core/faults';
import type { CaptureProcess } from '../../native';
import type {
  LiveMode,
  ObjectRef,
  SharedFile,
  StreamRef,
  Task,
  TreeImage,
} from '../../proto/gen/holdfast/v1/manifest';
import { uploadStream } from '../../store/stream';
import type { AgentContext } from '../context';
import { dumpCommand } from '../criu/commands';
import { Hold } from '../criu/hold';
import { criuReason } from '../criu/reason';
import { leftOutSegments, segmentRecord } from '../criu/segments';
import { packDirectory, packLocalFiles } from '../files/archive';
import { fileUses, LocalFiles } from '../files/selection';
import { recordSharedFiles } from '../files/shared';
import { MemoryCapture, type StoredMemory, sha256 } from '../memory/capture';
import { Snapshots } from '../memory/snapshots';
import { learnStored } from '../memory/storedContents';
import type { GenerationId } from '../memory/treeMemory';
import { canBeTracked } from '../memory/trust';
import { type Descriptor, descriptors } from '../proc/descriptors';
import { memoryMaps } from '../proc/maps';
import { type ExternalDescriptor, externalDescriptors } from '../proc/pipes';
import { trySignal } from '../proc/signals';
import { tcpSockets } from '../proc/sockets';
import { type ProcessStat, processIdentity } from '../proc/stat';
import { innermostPid, pidsOfNamespace, subtree } from '../proc/subtree';
import { imagePid, type Tree } from '../trees';

/** Objects of a stream: few and large, but each small enough to be held in memory. */
const SEGMENT_BYTES = 16 << 20;

/** CRIU that takes longer to stop and dump a tree without its memory hangs: seconds are much. */
const GATE_MS = 2 * 60_000;

/** Everything that can be asked of the tree only while it is there: after its release it may end at any time. */
interface FrozenFacts {
  readonly rootPid: number;
  readonly tasks: Task[];
  readonly sharedFiles: SharedFile[];
  readonly externals: ExternalDescriptor[];
  readonly tcpPorts: number[];
  readonly filesArchive: string | null;
}

function socketInode({ target }: Descriptor): number | null {
  const inode = /^socket:\[(\d+)\]$/.exec(target)?.[1];
  return inode === undefined ? null : Number(inode);
}

export interface CapturePlace {
  /** Of this tree in the operation's directory. */
  readonly directory: string;
  /** Of this tree's objects. */
  readonly keyPrefix: string;
  /** null: nothing is encrypted. */
  readonly keys: EncryptionKeys | null;
  readonly id: GenerationId;
  /** The committed generation that it may build on. */
  readonly base: GenerationId | null;
  readonly live: LiveMode;
  readonly budgetBytes: number;
  /** The operation was given up: no step begins any more. */
  readonly signal: AbortSignal;
  /** Called when the packs of the tree are in the store, and their memory is free again. */
  readonly onStored: () => void;
}

export class TreeCapture {
  private readonly images: string;
  private readonly localFiles: LocalFiles;
  private hold: Hold | null = null;
  private frozen: FrozenFacts | null = null;
  private memory: MemoryCapture | null = null;
  private stored: Promise<StoredMemory> | null = null;
  private snapshots: Snapshots | null = null;
  private heldMs = 0;
  private uploadedBytes = 0;

  constructor(
    private readonly context: AgentContext,
    private readonly tree: Tree,
    private readonly place: CapturePlace,
  ) {
    this.images = join(place.directory, 'images');
    mkdirSync(this.images, { recursive: true, mode: 0o700 });
    this.localFiles = new LocalFiles(tree.uid, context.options.localRoots);
  }

  /** Copies memory while the tree runs. */
  async precopy(onProgress: (bytes: number) => void): Promise<void> {
    const { context, tree, place } = this;
    place.signal.throwIfAborted();
    const known = context.memories.of(tree);
    known.begin(place.base, place.id, place.keys?.id);
    if (place.base) {
      const { keys, base, signal } = place;
      const { job, treeId, restored } = tree;
      const log = context.log.child({ job, tree: treeId });
      await learnStored(known, { store: context.store, job, treeId, base, restored, keys, signal, log });
    }
    this.memory = new MemoryCapture(context.store, known, {
      budgetBytes: place.budgetBytes,
      keys: place.keys,
      uploadRate: context.uploadRate,
      uploadLimit: context.uploadLimit,
      nice: context.options.nice,
      compression: context.options.compression,
      compressionLevel: context.options.compressionLevel,
      keyPrefix: place.keyPrefix,
      signal: place.signal,
      onProgress,
    });
    const pids = subtree(tree.rootPid).map(({ pid }) => pid);
    await this.localFiles.survey(fileUses(pids, pids.flatMap(descriptors)));
    await this.memory.precopy(() => this.processes());
  }

  /** Starts the dump; resolves when the tree is frozen, its network locked, and CRIU stands at the gate. */
  async freeze(): Promise<void> {
    this.place.signal.throwIfAborted();
    faultPoint('agent.capture.before-freeze');
    const rootPid = this.imagePid(this.tree.rootPid);
    const open = subtree(this.tree.rootPid).flatMap((stat) => descriptors(stat.pid));
    const externals = [...new Set(externalDescriptors(open).map((external) => external.resource))];
    const { command, environment, logPath } = dumpCommand(
      this.context.criu.path,
      rootPid,
      this.images,
      externals,
      this.wantsSnapshots() ? this.snapshotsFile : null,
      segmentRecord(this.place.directory),
    );
    this.hold = new Hold({
      directory: this.place.directory,
      enterPid: this.tree.cell?.initPid ?? null,
      gate: 'post-dump',
      leaseMs: this.context.lease.requireMs(),
      limits: { gateMs: GATE_MS },
      environment,
      command,
      explain: () => criuReason(logPath),
    });
    this.context.lease.attach(this.hold);
    await this.hold.atGate;
    faultPoint('agent.capture.at-gate');
  }

  /** Reads memory and node-local files of the frozen tree. Returns the bytes of memory captured. */
  async read(onProgress: (bytes: number) => void): Promise<number> {
    const { memory } = this;
    if (!memory) throw new Error('capture before prepare');
    this.snapshots = Snapshots.adopt(this.snapshotsFile, this.outerPids());
    const clones = new Set(this.snapshots.pids.map(({ clonePid }) => clonePid));
    const stats = subtree(this.tree.rootPid).filter(({ pid }) => !clones.has(pid));
    const leftOut = leftOutSegments(this.place.directory);
    const holding = memory.hold(this.processes(stats), this.snapshots.pids, leftOut);
    // The engine reads on threads of its own meanwhile.
    const gathering = this.gatherFacts(stats);
    await Promise.allSettled([holding, gathering]);
    const bytes = await holding;
    this.frozen = await gathering;
    this.snapshots.begin((problem) => memory.giveUp(problem));
    onProgress(bytes);
    this.stored = this.storeMemory(memory, this.snapshots);
    this.stored.catch(() => {}); // met by whoever waits for the upload
    return bytes;
  }

  private async gatherFacts(stats: readonly ProcessStat[]): Promise<FrozenFacts> {
    const alive = stats.filter((stat) => stat.state !== 'Z');
    const open = alive.flatMap((stat) => descriptors(stat.pid));
    const filesArchive = await this.packLocalFiles(alive, open);
    return {
      rootPid: this.imagePid(this.tree.rootPid),
      tasks: stats.map((stat) => this.task(stat)),
      sharedFiles: recordSharedFiles(open, this.context.options.localRoots),
      externals: externalDescriptors(open).map((external) => ({
        ...external,
        pid: this.imagePid(external.pid),
      })),
      tcpPorts: this.tcpPorts(open),
      filesArchive,
    };
  }

  /** Local ones. The kernel's table is long also where nobody has a connection: it is not read for nothing. */
  private tcpPorts(open: readonly Descriptor[]): number[] {
    const inodes = new Set(open.flatMap((one) => socketInode(one) ?? []));
    if (inodes.size === 0) return [];
    const sockets = tcpSockets(this.tree.rootPid).filter((socket) => inodes.has(socket.inode));
    return [...new Set(sockets.map((socket) => socket.localPort))].filter((port) => port > 0);
  }

  private async storeMemory(memory: MemoryCapture, snapshots: Snapshots): Promise<StoredMemory> {
    try {
      await memory.readSnapshots();
      faultPoint('agent.upload.snapshots');
      snapshots.requireIntact();
    } finally {
      await snapshots.close();
    }
    return memory.finish();
  }

  private get snapshotsFile(): string {
    return join(this.place.directory, 'snapshots');
  }

  private wantsSnapshots(): boolean {
    return this.memory?.wantsSnapshot(this.place.live) ?? false;
  }

  /** From CRIU's numbers to ours, as they are now. */
  private outerPids(): (pid: number) => number | undefined {
    const { cell } = this.tree;
    const inCell = cell ? pidsOfNamespace(cell.initPid) : null;
    return (pid) => (inCell ? inCell.get(pid) : pid);
  }

  /** Those with memory, as the engine names them. */
  private processes(stats = subtree(this.tree.rootPid)): CaptureProcess[] {
    return stats
      .filter((stat) => stat.state !== 'Z')
      .flatMap((stat): CaptureProcess[] => {
        // One that has just ended has no pid any more.
        const inner = this.tree.cell ? innermostPid(stat.pid) : stat.pid;
        if (inner === null) return [];
        const mapped = memoryMaps(stat.pid).map(({ path }) => path);
        return [
          { pid: stat.pid, imagePid: inner, isUntracked: !canBeTracked(descriptors(stat.pid), mapped) },
        ];
      });
  }

  /** Stops every process for good: none runs an instruction between the gate and its end. */
  stop(): void {
    for (const { pid } of subtree(this.tree.rootPid)) trySignal(pid, 'SIGSTOP');
  }

  /** Opens the gate: the network is unlocked and the tree goes on. Returns how long it was held, in ms. */
  async release(): Promise<number> {
    faultPoint('agent.release.before-gate');
    if (!this.hold) throw new Error('release before freeze');
    this.heldMs = await this.hold.pass();
    this.context.lease.detach(this.hold);
    faultPoint('agent.release.after-gate');
    return this.heldMs;
  }

  /** Uploads what is left (images, files, index); then everything of the tree is durable. */
  async upload(): Promise<TreeImage> {
    const { frozen, stored, tree } = this;
    if (!frozen || !stored) throw new Error('upload before capture');
    faultPoint('agent.upload.before-images');
    const memory = await stored;
    this.context.log.info({ job: tree.job, tree: tree.treeId, ...memory.totals }, 'memory captured');
    this.place.onStored();
    const images = await this.uploadStream(() => packDirectory(this.images), 'images', 'tar+zstd');
    const { filesArchive } = frozen;
    const files = filesArchive
      ? await this.uploadStream(() => createReadStream(filesArchive), 'files', 'tar+zstd')
      : undefined;
    const index = await this.uploadObject('index', memory.index);
    const rootProgram = tree.rootProgram
      ? await this.uploadObject('root-program', readFileSync(tree.rootProgram))
      : undefined;
    this.uploadedBytes += memory.newBytes;
    return {
      treeId: tree.treeId,
      main: tree.main,
      rootPid: frozen.rootPid,
      uid: tree.uid,
      gid: tree.gid,
      groups: tree.groups,
      tasks: frozen.tasks,
      images,
      files,
      index,
      packs: memory.packs,
      sharedFiles: frozen.sharedFiles,
      externalFds: frozen.externals,
      tcpPorts: frozen.tcpPorts,
      memory: memory.totals,
      heldMs: this.heldMs,
      command: tree.command,
      rootProgramPath: tree.rootProgram,
      rootProgram,
    };
  }

  get bytesUploaded(): number {
    return this.uploadedBytes;
  }

  /** Thaws the tree if it is held, and waits for its packs: the operation's signal tells them to end. */
  async abort(reason: string): Promise<void> {
    if (this.hold) {
      await this.hold.fail(reason);
      this.context.lease.detach(this.hold);
    }
    await this.memory?.close();
    if (this.snapshots) await this.snapshots.close();
    else if (existsSync(this.snapshotsFile)) await Snapshots.endUnread(this.snapshotsFile, this.outerPids());
    await this.stored?.catch(() => {});
  }

  private async packLocalFiles(
    stats: readonly ProcessStat[],
    open: readonly Descriptor[],
  ): Promise<string | null> {
    const pids = stats.map((stat) => stat.pid);
    const paths = await this.localFiles.select(fileUses(pids, open));
    if (paths.length === 0) return null;
    const archive = join(this.place.directory, 'files.tar.zst');
    await packLocalFiles(archive, this.tree, paths, this.place.signal);
    return archive;
  }

  private task(stat: ProcessStat): Task {
    const inTree = stat.pid !== this.tree.rootPid;
    return {
      pid: this.imagePid(stat.pid),
      parentPid: inTree ? this.imagePid(stat.parentPid) : 0,
      threadCount: processIdentity(stat.pid)?.threadCount ?? 1,
      comm: stat.comm,
    };
  }

  private imagePid(pid: number): number {
    return imagePid(this.tree, pid);
  }

  /** @param open is called when the stream is read at once: the error of one that nobody reads would end the agent */
  private async uploadStream(open: () => Readable, name: string, encoding: string): Promise<StreamRef> {
    const { signal } = this.place;
    signal.throwIfAborted();
    const stream = addAbortSignal(signal, open());
    const ref = await uploadStream(this.context.store, stream, `${this.place.keyPrefix}/${name}`, {
      encoding,
      segmentBytes: SEGMENT_BYTES,
      keys: this.place.keys,
    });
    this.uploadedBytes += ref.segments.reduce((sum, segment) => sum + segment.sizeBytes, 0);
    return ref;
  }

  private async uploadObject(name: string, contents: Buffer): Promise<ObjectRef> {
    const { keys, keyPrefix } = this.place;
    const key = `${keyPrefix}/${name}`;
    const body = keys ? sealObject(keys, key, contents) : contents;
    const digest = sha256(body);
    this.place.signal.throwIfAborted();
    await this.context.store.put(key, body, { sha256: digest });
    this.uploadedBytes += body.length;
    return { key, sizeBytes: body.length, sha256: digest, encryptionKey: keys?.id };
  }
}
