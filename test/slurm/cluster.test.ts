/** The simulated Slurm cluster itself: it runs a job, survives the loss of a node, and leaves nothing. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Stack } from '../harness/stack';
import { SlurmCluster } from './cluster';

test('a job of an ordinary user runs, a dead node is noticed, and nothing is left', async () => {
  const stack = await Stack.start({ nodes: ['node1', 'node2', 'node3'], store: 'directory' });
  const nodes = stack.cluster.nodes.map(({ initPid }) => initPid);
  try {
    const slurm = await SlurmCluster.onto(stack);
    const id = await slurm.submit('srun hostname; id -un', ['--job-name=first', '--nodelist=node2']);
    expect(await slurm.jobIn(id, ['COMPLETED', 'FAILED'])).toMatchObject({
      JobState: 'COMPLETED',
      ExitCode: '0:0',
      NodeList: 'node2',
    });
    expect(readFileSync(join(slurm.home, `first-${id}.out`), 'utf8')).toBe('node2\nalice\n');

    const sleeper = await slurm.submit('srun sleep 100', ['--nodelist=node1']);
    await slurm.jobIn(sleeper, ['RUNNING']);
    await stack.node('node1').kill();
    expect(await slurm.jobIn(sleeper, ['PENDING'])).toMatchObject({ Restarts: '1' });
    await stack.node('node1').boot();
    await slurm.rejoin('node1');
    nodes.push(stack.node('node1').initPid);
  } finally {
    await stack.stop();
  }
  expect(existsSync(stack.directory)).toBe(false);
  expect(groups().filter((path) => nodes.some((pid) => path.endsWith(`/holdfast-sim-${pid}`)))).toEqual([]);
});

/** Directories of control groups at the top of every hierarchy. */
function groups(): string[] {
  const roots = readFileSync('/proc/mounts', 'utf8')
    .split('\n')
    .flatMap((line) => /^\S+ (\S+) cgroup2? /.exec(line)?.[1] ?? []);
  return roots.flatMap((root) =>
    readdirSync(root, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map(({ name }) => join(root, name)),
  );
}
