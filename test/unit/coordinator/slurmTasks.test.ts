/** Tasks of a Slurm job: what the nodes find is put together, each node speaks for itself, and one that does not answer is told. */
import { HoldfastError } from '../../../core/errors';
import { invoke } from '../../../core/rpc/handlers';
import { SlurmProcess, type SlurmSelection } from '../../../proto/gen/holdfast/v1/agent';
import { TrackProcessRequest } from '../../../proto/gen/holdfast/v1/coordinator';
import { FakeCluster } from './support/cluster';

const OWNER = 1000;
const SELECTION: SlurmSelection = { jobId: 12, arrayTask: 3, hetComponent: undefined };

let cluster: FakeCluster;
beforeAll(async () => {
  cluster = await FakeCluster.start(['n1', 'n2', 'n3']);
});
afterAll(() => cluster.stop());

const found = (pid: number, more: Partial<SlurmProcess> = {}): SlurmProcess =>
  SlurmProcess.fromPartial({ jobId: 15, pid, uid: OWNER, node: 'elsewhere', command: './app', ...more });

const list = (uid: number, selection: SlurmSelection | undefined = SELECTION) => {
  const { client, metadata } = cluster.user(uid);
  return invoke(client, client.listSlurmTasks, { selection }, { metadata });
};

test('all nodes are asked for the same, and what they say is put together', async () => {
  const asked: unknown[] = [];
  cluster.agent('n1').overrides.set('discoverSlurm', ({ body, job, epoch }) => {
    asked.push({ body, job, epoch });
    return { $case: 'discoveredSlurm', value: { processes: [found(7), found(8, { uid: 1001 })] } };
  });
  cluster.agent('n2').overrides.set('discoverSlurm', () => {
    const long = found(9, { command: 'x'.repeat(5000) });
    return { $case: 'discoveredSlurm', value: { processes: [long] } };
  });
  cluster.agent('n3').overrides.set('discoverSlurm', () => {
    throw new HoldfastError('INVALID_ARGUMENT', 'a command without a body');
  });
  const { processes, silent } = await list(OWNER);
  expect(processes.map(({ node, pid }) => ({ node, pid }))).toEqual([
    { node: 'n1', pid: 7 },
    { node: 'n2', pid: 9 },
  ]);
  expect(processes[1]?.command).toHaveLength(1000);
  expect(silent).toMatchObject([{ node: 'n3', reason: 'node n3: a command without a body' }]);
  expect(asked).toMatchObject([
    { body: { $case: 'discoverSlurm', value: { selection: SELECTION } }, job: '', epoch: 0 },
  ]);
  expect((await list(0)).processes).toHaveLength(3);
});

test('without the number of a job nobody is asked', async () => {
  await expect(list(OWNER, { ...SELECTION, jobId: 0 })).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
});

test('a process is tracked as the one that was found, and no other with its pid', async () => {
  let adopted: unknown;
  cluster.agent('n1').overrides.set('adopt', ({ body }) => {
    if (body?.$case !== 'adopt') throw new Error('no adopt');
    adopted = body.value;
    const { pid, treeId } = body.value;
    return { $case: 'started', value: { treeId, rootPid: pid, uid: OWNER, command: './app' } };
  });
  const { client, metadata } = cluster.user(OWNER);
  const request = TrackProcessRequest.fromPartial({ node: 'n1', pid: 77, startTicks: 4711 });
  await invoke(client, client.trackProcess, request, { metadata });
  expect(adopted).toMatchObject({ pid: 77, startTicks: 4711, callerUid: OWNER });
});
