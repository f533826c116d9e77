/**
 * CRIU or a node's own state stands in the way on one node: the operation ends on all nodes, and the error names the
 * node and says CRIU's own reason.
 */
import { join } from 'node:path';
import { JobState } from '../../proto/gen/holdfast/v1/coordinator';
import { openStore } from '../../store/open';
import { Stack } from '../harness/stack';
import { compileVictim } from '../harness/victims';
import { intactGenerations, orphans } from './generations';
import { expectUndisturbed, type MpiJob, startMpiJob } from './mpiJob';
import { Operations } from './operations';
import { Residue } from './residue';
import { goesOn, killJob, linesAtLeast, outputPath, submit, tails } from './survival';
import { told } from './told';

const NODES = ['node1', 'node2', 'node3'];

let stack: Stack;
let operations: Operations;
let residue: Residue;

beforeAll(async () => {
  stack = await Stack.start({ nodes: NODES, store: 'directory' });
  operations = new Operations(stack, 'node1');
  residue = new Residue(stack, NODES);
});
afterAll(() => stack?.stop());

const store = () => openStore(`file://${join(stack.directory, 'store')}`);
const onNode = async (node: string, argv: readonly string[]): Promise<void> => {
  const { code, stderr } = await stack.node(node).run(argv);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
};

test('CRIU cannot dump a tree on one node', () =>
  told(stack, async () => {
    const refused = compileVictim('refused', stack.shared);
    const series = compileVictim('series', stack.shared);
    const far = outputPath(stack, 'far');
    // A job of two trees without MPI: its main tree starts the other one through the remote shell.
    const script = `"$OMPI_MCA_plm_rsh_agent" node2 'exec ${refused} userfaultfd > ${far}' && exec ${series} 1 100000 50`;
    const { id, output } = await submit(stack, {
      name: 'near',
      argv: ['sh', '-c', script],
      nodes: ['node1'],
    });
    await linesAtLeast(output, 5);
    await linesAtLeast(far, 5);
    residue.before();
    const { phase, error } = await operations.ended(await operations.checkpoint(id));
    expect({ phase, code: error?.code }).toEqual({ phase: 'ABORTED', code: 'CRIU_FAILED' });
    expect(error?.message).toMatch(/^node node2: CRIU ended with code \d+: .*userfaultfd/);
    await Promise.all([goesOn(output), goesOn(far)]);
    expect(await intactGenerations(store(), id)).toEqual([]);
    expect(await orphans(store(), id)).toEqual([]);
    await residue.none(
      new Map([
        ['node1', [`${id}.main.1`]],
        ['node2', [`${id}.m1.1`]],
      ]),
    );
    await killJob(stack, 'node1', id);
    await residue.none(new Map());
  }));

describe('a restart', () => {
  let job: MpiJob;
  let ckptId: number;

  beforeAll(async () => {
    job = await startMpiJob(stack, { memoryMib: 2 });
    ckptId = (await operations.ended(await operations.checkpoint(job.id))).ckptId;
    expect(ckptId).toBeGreaterThan(0);
    await goesOn(job.output);
    await killJob(stack, 'node1', job.id);
    residue.before();
  });

  /** It fails with the message, and nothing is different from before. */
  async function expectFailure(message: RegExp): Promise<void> {
    residue.before();
    const { phase, error } = await operations.ended(await operations.restart(ckptId, ['node1', 'node3']));
    expect({ phase, message: error?.message }).toEqual({
      phase: 'ABORTED',
      message: expect.stringMatching(message),
    });
    const view = await operations.job(job.id, 'is known', () => true);
    expect(view).toMatchObject({ state: JobState.STOPPED, trees: [] });
    expect(view.reason).toMatch(message);
    expect(await intactGenerations(store(), job.id)).toEqual([1]);
    expect(tails(job.output)).toEqual([]);
    await residue.none(new Map());
  }

  test('CRIU does not find the program as it was, on one node', () =>
    told(stack, async () => {
      const program = join(stack.shared, 'mpi_series-openmpi');
      await onNode('node3', ['mount', '--bind', '/bin/true', program]);
      residue = new Residue(stack, NODES);
      await expectFailure(/node node3: CRIU ended with code \d+: .*mpi_series-openmpi has bad size/);
      await onNode('node3', ['umount', program]);
      residue = new Residue(stack, NODES);
    }));

  test('a node-local file cannot be put back', () =>
    told(stack, async () => {
      await onNode('node3', ['install', '--mode=0600', '/dev/null', '/tmp/ompi.node2.65534']);
      await expectFailure(/node node3: .*ompi\.node2\.65534/);
      await onNode('node3', ['rm', '/tmp/ompi.node2.65534']);
    }));

  test('works when the cause is gone', () =>
    told(stack, async () => {
      const { phase, error } = await operations.ended(await operations.restart(ckptId, ['node1', 'node3']));
      expect({ phase, error }).toEqual({ phase: 'RUNNING', error: undefined });
      await goesOn(job.output);
      expectUndisturbed(job);
    }));
});
