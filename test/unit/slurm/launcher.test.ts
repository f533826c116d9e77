/** The command line of an MPI launcher inside of a Slurm job. */
import { parseHolderLine } from '../../../cli/slurm/holder';
import { type Launcher, launcherCommand } from '../../../cli/slurm/launcher';

const HOSTS = [
  { name: 'n1', slots: 2 },
  { name: 'n2', slots: 1 },
];

test.each<[Launcher, string[], string[]]>([
  ['open-mpi', ['-np', '3', './app'], ['mpirun', '--host', 'n1:2,n2:1', '-np', '3', './app']],
  ['open-mpi', ['--hostfile', 'h', './app'], ['mpirun', '--hostfile', 'h', './app']],
  ['open-mpi', ['-H', 'n2', './app'], ['mpirun', '-H', 'n2', './app']],
  ['hydra', ['-n', '3', './app'], ['mpirun', '-hosts', 'n1:2,n2:1', '-n', '3', './app']],
  [
    'open-mpi',
    ['-np', '3', './app', '--host', 'db'],
    ['mpirun', '--host', 'n1:2,n2:1', '-np', '3', './app', '--host', 'db'],
  ],
  ['hydra', ['-f', 'h', './app'], ['mpirun', '-f', 'h', './app']],
])('%s %j', (launcher, args, command) =>
  expect(launcherCommand(launcher, 'mpirun', args, HOSTS)).toEqual(command),
);

test.each([
  ['seat 1 n2', { kind: 'seat', nodeId: 1, node: 'n2' }],
  ['signal 15', { kind: 'signal', signal: 15 }],
  ['srun: job 12 queued', null],
  ['seat x n2', null],
])('a holder says %j', (line, said) => expect(parseHolderLine(line)).toEqual(said));
