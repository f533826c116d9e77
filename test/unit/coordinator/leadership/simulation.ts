/**
 * Two coordinators, two agents and one job. The coordinators are the real ones, from the lease to the retention, on a Redis, a
 * store, queues and connections in memory; whoever leads is struck somewhere in the middle of what it does.
 */

import { requestCheckpoint, requestRestart } from '../../../../coordinator/api/requests';
import type { Guard } from '../../../../coordinator/api/serve';
import { Post } from '../../../../coordinator/leadership/post';
import { Leader, type Site } from '../../../../coordinator/leading';
import { parseCoordinatorOptions } from '../../../../coordinator/options';
import { policiesOf } from '../../../../coordinator/policies';
import type { Queues, Workers } from '../../../../coordinator/queues/queues';
import { collect } from '../../../../coordinator/retention/collect';
import { Signal } from '../../../../coordinator/signal';
import { KEYS } from '../../../../coordinator/state/keys';
import type { OperationRecord } from '../../../../coordinator/state/operations';
import { NotLeaderError } from '../../../../core/errors';
import type { FaultPoint } from '../../../../core/faults';
import { openLog } from '../../../../core/log';
import { decodeManifest, MANIFESTS_PREFIX, parseManifestKey } from '../../../../core/manifest';
import { KEEP_ALL } from '../../../../core/retention';
import { Job, JobState } from '../../../../proto/gen/holdfast/v1/coordinator';
import { LiveMode, RestartPolicy } from '../../../../proto/gen/holdfast/v1/manifest';
import { withGuard } from '../../../../store/wrappers';
import { MemoryStore } from '../../../contract/memoryStore';
import { coordinatorPoints } from '../../../harness/faultPoints';
import { differences } from '../support/collecting';
import { SharedRedis } from './sharedRedis';
import { SimulatedAgent } from './simulatedAgent';
import { type Blow, Process, World } from './world';

const JOB = 'j-abcdefghjkmn';
const LEASE_MS = 2_000;
const LEADER_LEASE_MS = 2_000;
const ROOT = { uid: 0, gid: 0, pid: 1, node: null, role: 'admin' } as const;
/** Nobody calls, so it only has to be there. */
const GUARD = { audit: { record: () => {} }, limits: null, roles: null } as unknown as Guard;
const NOBODY_WATCHES = {} as unknown as Site['events'];
/** All that waits within it has an end. */
const PATIENCE_MS = 1_800_000;
const NODES = ['n1', 'n2'];

const LOG = openLog('simulation', process.env.HOLDFAST_TEST_LOG ?? 'silent');

type Action = 'checkpoint' | 'restart' | 'collect';

const POINTS: Readonly<Record<Action, readonly FaultPoint[]>> = {
  checkpoint: coordinatorPoints('checkpoint'),
  restart: coordinatorPoints('restart'),
  collect: coordinatorPoints('gc'),
};

export type Mutation = 'no fence in Redis' | 'no guard of the store' | 'one instance for all';

interface Coordinator {
  readonly process: Process;
  readonly post: Post<Leader>;
}

export class Simulation {
  readonly counts = { kills: 0, pauses: 0, takeovers: 0, refused: 0, committed: 0, removed: 0 };
  /** Named points at which somebody was struck. */
  readonly visited = new Set<string>();
  readonly #world: World;
  readonly #redis: SharedRedis;
  readonly #store = new MemoryStore();
  readonly #coordinators: (Coordinator | null)[] = [null, null];
  readonly #agents: SimulatedAgent[] = [];
  readonly #violations: string[] = [];
  readonly #captured = new Map<string, Set<string>>();
  /** By operation: how it ended, as was stored. */
  readonly #outcomes = new Map<string, string>();
  /** Generation and epoch of each manifest that ever was. */
  readonly #manifests = new Set<string>();
  readonly #acknowledged: string[] = [];
  #breaksOneIn = 0;

  constructor(
    seed: number,
    private readonly mutation: Mutation | null = null,
  ) {
    this.#world = new World(seed);
    this.#redis = new SharedRedis(this.#world);
    this.#redis.isFenceless = mutation === 'no fence in Redis';
    this.#redis.onWrite = (words, process) => this.#seeWrite(words, process);
    this.#watchStore();
    this.#breaksOneIn = this.#world.pick([0, 0, 60, 200]);
    for (const [index, node] of NODES.entries()) {
      const agent = new SimulatedAgent({
        ...{ world: this.#world, store: this.#store, node, ip: `10.0.0.${index + 1}`, leaseMs: LEASE_MS },
        ...{
          breaksOneIn: () => this.#breaksOneIn,
          captured: this.#captured,
          instanceOf: (instance) => (mutation === 'one instance for all' ? 'one' : instance),
          onViolation: (text) => this.#violations.push(text),
        },
        dial: () =>
          this.#coordinators
            .filter((one) => one !== null)
            .map(({ process, post }) => ({ process, fleet: () => post.fleet() })),
        nodesOf: () => NODES,
      });
      agent.host(JOB, index === 0 ? 'main' : 'm1', 1);
      this.#agents.push(agent);
    }
  }

  async run(): Promise<void> {
    await this.#begin();
    await this.#do('checkpoint');
    const rounds = 1 + this.#world.below(3);
    for (let round = 0; round < rounds; round++) {
      await this.#struckAt(this.#world.pick(['checkpoint', 'checkpoint', 'restart', 'collect'] as const));
      this.#see();
    }
    await this.#settle();
  }

  async #begin(): Promise<void> {
    const spec = {
      ...{ argv: ['work'], uid: 0, nodes: NODES, workingDirectory: '/' },
      ...{ retention: { ...KEEP_ALL, keepLast: 1 + this.#world.below(2) } },
      restartPolicy: RestartPolicy.ANY_NODES,
      maxRestarts: 1_000,
    };
    const trees = NODES.map((node, at) => ({
      treeId: at === 0 ? 'main' : 'm1',
      node,
      rootPid: 1,
      main: at === 0,
    }));
    const job = Job.fromPartial({
      id: JOB,
      spec,
      state: JobState.RUNNING,
      trees,
      incarnation: 1,
      createdMs: 1,
    });
    this.#redis.hash(KEYS.jobs).set(JOB, JSON.stringify(Job.toJSON(job)));
    this.#start(0);
    this.#start(1);
    for (const agent of this.#agents) agent.open();
    await this.#world.until(
      'a leader',
      () => this.#leader() !== null && this.#agents.every((one) => one.isConnected),
    );
  }

  #start(index: number): void {
    const process: Process = new Process(this.#world, `c${index}`, () => {
      this.#coordinators[index] = null;
      for (const agent of this.#agents) agent.break();
      // Somebody starts it again, sooner or later.
      this.#world.after(1 + this.#world.below(3 * LEASE_MS), () => this.#start(index));
    });
    const { clock } = process;
    const log = LOG.child({ coordinator: index });
    const options = parseCoordinatorOptions({
      ...{ insecureLoopback: true, storeUrl: 'file:///none', leaseMs: LEASE_MS, heartbeatMs: 500 },
      ...{ leaderLeaseMs: LEADER_LEASE_MS, gcIntervalMs: 1e9, gcGraceMs: 1, restartWaitMs: 600_000 },
    });
    const redis = process.around(this.#redis.client());
    const store = process.around(this.#storeOf(process));
    const isGuarded = this.mutation !== 'no guard of the store';
    const site: Site = {
      ...{ options, log, clock, redis },
      openStore: (admit) => (isGuarded ? withGuard(store, admit) : store),
      openQueues: () => new SimulatedQueues(process) as unknown as Queues,
      telemetry: { watch: () => () => {} },
      policies: () => policiesOf(options),
      guard: GUARD,
      events: NOBODY_WATCHES,
      isAlone: false,
    };
    const post = new Post<Leader>({
      ...{ redis, clock, log, leaseMs: LEADER_LEASE_MS, isAlone: false, address: () => `c${index}:7020` },
      standby: (leader) => ({
        over: new Signal(),
        handlers: () => {
          throw new NotLeaderError(leader());
        },
      }),
      lead: async (term) => {
        this.counts.takeovers++;
        return Leader.begin(site, term);
      },
    });
    this.#coordinators[index] = { process, post };
    process.enter(() => void post.start().catch((thrown) => this.#violations.push(`start: ${thrown}`)));
  }

  /** In the turn in which a write is sent nobody else may have taken the lease (A3). */
  #storeOf(process: Process): MemoryStore {
    const check = (key: string) =>
      this.#expect(this.#redis.newestTaker === process, `late write to the store: ${key} (A3)`);
    return new Proxy(this.#store, {
      get: (store, name) => {
        const member = Reflect.get(store, name, store);
        if (typeof member !== 'function') return member;
        if (name !== 'put' && name !== 'putIfAbsent' && name !== 'delete') return member.bind(store);
        return (key: string, ...rest: unknown[]) => {
          check(key);
          return member.call(store, key, ...rest);
        };
      },
    });
  }

  #leader(): (Coordinator & { leader: Leader }) | null {
    for (const one of this.#coordinators) {
      const leader = one?.post.leading ?? null;
      if (one !== null && leader !== null && one.process.isUp) return { ...one, leader };
    }
    return null;
  }

  /** What a user asks for, until somebody has answered. */
  async #do(action: Action, arm: ((process: Process) => void) | null = null): Promise<void> {
    let isOver = false;
    let lastTryMs = Number.NEGATIVE_INFINITY;
    const tryNow = () => {
      const found = this.#leader();
      if (isOver || found === null || this.#world.nowMs - lastTryMs < 1_000) return;
      lastTryMs = this.#world.nowMs;
      arm?.(found.process);
      arm = null;
      found.process.enter(() => {
        this.#ask(found.leader, action).then(
          (operation) => {
            isOver = true;
            if (operation !== null) this.#acknowledged.push(operation);
          },
          () => {
            // Refused, or it does not lead any more: a user who asks again, or one who does not.
            isOver = this.#world.below(2) === 0;
          },
        );
      });
    };
    const limitMs = this.#world.nowMs + 20_000;
    await this.#world.until(`an answer to ${action}`, () => {
      tryNow();
      return isOver || this.#world.nowMs > limitMs;
    });
    isOver = true;
    // What goes on goes on while the next thing is asked for, or not.
    if (this.#world.below(2) === 0) await this.#quiet();
    else await this.#world.pass(this.#world.below(3_000));
  }

  async #ask({ context }: Leader, action: Action): Promise<string | null> {
    if (action === 'collect') {
      await collect(context, JOB);
      return null;
    }
    const request = { job: JOB, stop: false, live: LiveMode.AUTO, now: false, cause: '' };
    if (action === 'checkpoint') return requestCheckpoint(context, ROOT, request);
    const source = { $case: 'job', value: JOB } as const;
    const rest = { nodes: [], outputPath: '', lazy: false, deadlineMs: 0, walltimeMs: 0 };
    return requestRestart(context, ROOT, { source, ...rest });
  }

  async #struckAt(action: Action): Promise<void> {
    const blow: Blow =
      this.#world.below(2) === 0
        ? { kind: 'kill' }
        : { kind: 'pause', ms: this.#world.below(this.#world.pick([1, 4, 16]) * LEADER_LEASE_MS) };
    const at = this.#world.below(2) === 0 ? this.#world.pick(POINTS[action]) : this.#world.below(120);
    let struck: Process | null = null;
    await this.#do(action, (process) => {
      struck = process;
      process.arm(at, blow);
    });
    const { struck: wasStruck = false } = (struck ?? {}) as Partial<Process>;
    if (!wasStruck) return;
    this.counts[blow.kind === 'kill' ? 'kills' : 'pauses']++;
    if (typeof at === 'string') this.visited.add(at);
  }

  /** Every operation that is on record has come to its end. */
  async #quiet(): Promise<void> {
    const isQuiet = () => this.#redis.hash(KEYS.openOperations).size === 0 && this.#leader() !== null;
    await this.#world.until('the end of every operation', isQuiet, PATIENCE_MS).catch((thrown) => {
      const open = [...this.#redis.hash(KEYS.openOperations).keys()];
      const who = this.#coordinators.map((one) => one && `${one.process.isUp} ${one.post.term()}`);
      throw new Error(`${thrown}: ${open}; ${who}; ${this.#redis.text(KEYS.leader)} leads`);
    });
  }

  async #settle(): Promise<void> {
    this.#breaksOneIn = 0;
    for (const one of this.#coordinators) if (one !== null) one.process.armed = null;
    await this.#quiet();
    await this.#world.pass(2 * LEASE_MS);
    await this.#quiet();
    if (this.#job().state !== JobState.RUNNING) await this.#succeeds('restart', 'RUNNING');
    await this.#succeeds('checkpoint', 'DONE');
    if (this.#world.below(3) === 0) await this.#succeeds('restart', 'RUNNING');
    for (let i = 0; i < 3; i++) {
      await this.#do('collect');
      await this.#world.pass(100);
    }
    await this.#quiet();
    await this.#world.pass(LEASE_MS);
    this.#see();
    const { missing, garbage } = await differences(this.#store);
    this.#expect(missing.length === 0, `a generation lost ${missing}`);
    this.#expect(garbage.length === 0, `garbage is left: ${garbage}`);
    const { incarnation, trees } = this.#job();
    const hosted = this.#agents.flatMap((agent) => [...agent.trees.values()]);
    const isWhole =
      hosted.length === trees.length && hosted.every((tree) => tree.incarnation === incarnation);
    this.#expect(isWhole, `incarnation ${incarnation}, but nodes host ${JSON.stringify(hosted)}`);
    this.#expect(!this.#agents.some(({ isHolding }) => isHolding), 'a node is frozen');
    for (const id of this.#acknowledged) this.#expect(this.#outcomes.has(id), `${id} has no outcome`);
    this.counts.refused = this.#redis.refused;
    this.#judge();
  }

  /** With nobody to disturb it any more. */
  async #succeeds(action: 'checkpoint' | 'restart', phase: string): Promise<void> {
    for (let attempt = 0; attempt < 8; attempt++) {
      const before = this.#acknowledged.length;
      await this.#do(action);
      await this.#quiet();
      const id = this.#acknowledged[before] ?? '';
      if (this.#outcomes.get(id)?.startsWith(phase)) return;
      await this.#world.pass(2 * LEASE_MS);
    }
    throw new Error(`no ${action} comes to a good end; job ${JSON.stringify(this.#job())}`);
  }

  #job(): Job {
    return Job.fromJSON(JSON.parse(this.#redis.hash(KEYS.jobs).get(JOB) ?? '{}'));
  }

  #expect(isSo: boolean, text: string): void {
    if (!isSo) this.#violations.push(text);
  }

  #judge(): void {
    if (this.#violations.length > 0) throw new Error([...new Set(this.#violations)].join('; '));
  }

  /** What holds at any time. */
  #see(): void {
    for (const key of this.#store.objects.keys()) {
      if (!key.startsWith(MANIFESTS_PREFIX)) continue;
      for (const pack of packsOf(this.#store.objects.get(key)?.body ?? Buffer.alloc(0), key))
        this.#expect(this.#store.objects.has(pack), `${key} names ${pack}, which is not there (C1)`);
    }
    const { lastGeneration } = this.#job();
    const there = [...this.#store.objects.keys()].map((key) => parseManifestKey(key)?.generation ?? 0);
    this.#expect(
      lastGeneration === 0 || there.includes(lastGeneration),
      `the newest, ${lastGeneration}, is gone`,
    );
    this.#judge();
  }

  /** The one outcome of an operation, and that no late write of a coordinator that leads no more has an effect (A2). */
  #seeWrite([name, key = '', text = '']: readonly string[], process: Process | undefined): void {
    const newest = this.#redis.text(KEYS.term) ?? '';
    const leading = this.#coordinators.find((one) => one?.process === process);
    const term = leading?.post.leading?.context === undefined ? 0 : leading.post.term();
    if (term > 0 && term !== Number(newest.split(' ')[0]))
      this.#violations.push(`late write: ${name} ${key}`);
    if (name !== 'set' || !key.startsWith(KEYS.endedOperation(''))) return;
    const { operation } = JSON.parse(text) as OperationRecord;
    const { id, phase, generation, epoch } = operation;
    const outcome = `${phase} ${generation}-${epoch}`;
    const known = this.#outcomes.get(id) ?? outcome;
    this.#expect(known === outcome, `${id} ended as ${known}, then as ${outcome}`);
    this.#outcomes.set(id, outcome);
    if (!id.startsWith('o') || phase === 'RUNNING') return;
    const isCommitted = this.#manifests.has(`${generation}-${epoch}`);
    if (phase === 'DONE') this.#expect(isCommitted, `${id} is said to be committed`);
    else if (operation.ckptId > 0 && (operation.kind as unknown as string).includes('CHECKPOINT'))
      this.#expect(!isCommitted, `${id} is said to be aborted, but generation ${generation} is there`);
  }

  #watchStore(): void {
    const { objects } = this.#store;
    const create = this.#store.putIfAbsent.bind(this.#store);
    this.#store.putIfAbsent = async (key, body) => {
      const isCreated = await create(key, body);
      const place = parseManifestKey(key);
      if (!isCreated || place === null) return isCreated;
      const { header } = decodeManifest(Buffer.from(body), key);
      this.#manifests.add(`${place.generation}-${header?.epoch}`);
      this.counts.committed++;
      for (const pack of packsOf(Buffer.from(body), key))
        this.#expect(objects.has(pack), `${key} was committed without ${pack} (C1)`);
      return isCreated;
    };
    this.#store.delete = async (key) => {
      if (parseManifestKey(key) !== null && objects.has(key)) this.counts.removed++;
      for (const manifest of objects.keys())
        if (manifest.startsWith(MANIFESTS_PREFIX) && manifest !== key)
          this.#expect(
            !packsOf(objects.get(manifest)?.body ?? Buffer.alloc(0), manifest).includes(key),
            `${key} was deleted, but ${manifest} names it (G2)`,
          );
      objects.delete(key);
    };
  }
}

/** Of each manifest: it is looked at again and again. */
const packs = new WeakMap<Buffer, readonly string[]>();

function packsOf(body: Buffer, key: string): readonly string[] {
  const known = packs.get(body);
  if (known !== undefined) return known;
  const { nodes } = decodeManifest(body, key);
  const found = nodes.flatMap(({ trees }) => trees).flatMap((tree) => tree.packs.map((pack) => pack.key));
  packs.set(body, found);
  return found;
}

/** Operations begin as soon as they may. What schedules need is not simulated. */
class SimulatedQueues {
  readonly ticked = new Signal<never>();
  #workers: Workers | null = null;
  readonly #waiting: string[] = [];
  #isOver = false;

  constructor(private readonly process: Process) {}

  async clear(): Promise<void> {}

  start(workers: Workers): void {
    this.#workers = workers;
    for (const id of this.#waiting.splice(0)) this.#run(id);
  }

  async add({ operation }: OperationRecord, delayMs = 0): Promise<void> {
    this.process.clock.after(delayMs, () => {
      if (this.#workers === null) this.#waiting.push(operation.id);
      else this.#run(operation.id);
    });
  }

  #run(id: string): void {
    if (!this.#isOver) this.#workers?.runOperation(id).catch(() => undefined);
  }

  async ring(): Promise<void> {}
  async silence(): Promise<void> {}
  close(): void {
    this.#isOver = true;
  }
}
