/** Messages with every field set, to be varied by tests. */

import {
  type CheckpointSummary,
  Job,
  JobState,
  Node,
  Operation,
  OperationKind,
} from '../../../../proto/gen/holdfast/v1/coordinator';
import { Manifest, RestartPolicy } from '../../../../proto/gen/holdfast/v1/manifest';

export const JOB_ID = 'j-1abcdefghjkm';
export const OPERATION_ID = 'o-1abcdefghjkm';

export const job = (changes: Partial<Job> = {}): Job =>
  Job.fromPartial({
    id: JOB_ID,
    spec: {
      argv: ['./simulate', '--title', 'two words'],
      workingDirectory: '/shared/run',
      uid: 1000,
      gid: 1000,
      outputPath: '/shared/run/out',
      intervalMs: 600_000,
      restartPolicy: RestartPolicy.ANY_NODES,
      maxRestarts: 3,
      name: 'simulate',
    },
    state: JobState.RUNNING,
    trees: [
      { treeId: 'm1', node: 'n2', rootPid: 22, main: false },
      { treeId: 'main', node: 'n1', rootPid: 11, main: true },
    ],
    incarnation: 1,
    lastGeneration: 2,
    createdMs: 1_700_000_000_000,
    ...changes,
  });

export const summary: CheckpointSummary = {
  ckptId: 17,
  job: JOB_ID,
  generation: 3,
  createdMs: 1_700_000_100_000,
  nodes: ['n1', 'n2'],
  taskCount: 6,
  capturedBytes: 157_286_400,
  uploadedBytes: 1536,
  heldMs: 85,
  durationMs: 1234,
  uid: 1000,
  epoch: 7,
  pinned: false,
  quarantine: '',
  failedRestarts: 0,
  account: '',
};

export const operation = (changes: Partial<Operation> = {}): Operation =>
  Operation.fromPartial({
    id: OPERATION_ID,
    kind: OperationKind.CHECKPOINT,
    job: JOB_ID,
    generation: 3,
    epoch: 9,
    phase: 'PREPARE',
    startedMs: 1_700_000_099_000,
    ...changes,
  });

export const committed = () => operation({ phase: 'DONE', ckptId: 17, summary, endedMs: 1_700_000_100_234 });

export const node = (changes: Partial<Node> = {}): Node =>
  Node.fromPartial({
    name: 'n1',
    facts: {
      hostname: 'node-one',
      kernelRelease: '6.18.0',
      criuVersion: '4.2',
      architecture: 'x64',
      cpuFlags: ['avx2'],
      addresses: ['10.0.0.1', '10.1.0.1'],
      memoryBytes: 8 * 1024 ** 3,
    },
    alive: true,
    lastSeenMs: 1_700_000_000_000,
    version: '0.1.0',
    ...changes,
  });

export const manifest = (outputPath: string, recordedBytes: number): Manifest =>
  Manifest.fromPartial({
    format: 'holdfast-manifest',
    version: 1,
    header: {
      ckptId: 17,
      job: JOB_ID,
      generation: 3,
      epoch: 9,
      createdMs: 1_700_000_100_000,
      holdfastVersion: '0.1.0',
      spec: { argv: ['./simulate'], outputPath, uid: 1000, gid: 1000 },
    },
    container: {},
    nodes: [
      {
        node: 'n1',
        facts: { kernelRelease: '6.18.0', criuVersion: '4.2', addresses: ['10.0.0.1'] },
        trees: [
          {
            treeId: 'main',
            main: true,
            rootPid: 2,
            uid: 1000,
            gid: 1000,
            command: './simulate',
            heldMs: 85,
            tasks: [{ pid: 2, parentPid: 1, threadCount: 9, comm: 'simulate' }],
            sharedFiles: [
              { path: outputPath, sizeBytes: recordedBytes, writable: true, appendOnly: true },
              { path: '/shared/input.dat', sizeBytes: 4096 },
            ],
            packs: [{ key: 'pack/1', sizeBytes: 5, sha256: 'ab' }],
            memory: { capturedBytes: 157_286_400, storedBytes: 1536, chunks: 40 },
          },
        ],
      },
    ],
    tail: { nodeCount: 1, treeCount: 1, taskCount: 1 },
  });
