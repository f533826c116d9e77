/** Drains follow Slurm's, and leave alone what Holdfast's own users drained. */
import { drainChanges, parseNodes } from '../../../coordinator/slurm/nodes';

const TEXT = `NodeName=n1 Arch=x86_64 State=IDLE ThreadsPerCore=1 Partitions=normal Comment=State=DOWN
NodeName=n2 Arch=x86_64 State=MIXED+DRAIN ThreadsPerCore=1 Reason=bad memory, see ticket [root@2026-11-28T20:00:00]
NodeName=n3 State=DOWN* ThreadsPerCore=1 Reason=Not responding [slurm@2026-11-28T20:00:00]
NodeName=n4 State=IDLE+DRAIN
`;

test('states and reasons as scontrol writes them', () => {
  expect(parseNodes(TEXT)).toEqual([
    { name: 'n1', isDrained: false, reason: '' },
    { name: 'n2', isDrained: true, reason: 'bad memory, see ticket' },
    { name: 'n3', isDrained: false, reason: 'Not responding' },
    { name: 'n4', isDrained: true, reason: '' },
  ]);
  expect(parseNodes('slurm_load_node error: Unable to contact slurm controller\n')).toEqual([]);
});

test('what Slurm drained is drained, and what it opened is opened, of our nodes', () => {
  const known = new Set(['n1', 'n2', 'n3', 'n4']);
  expect(drainChanges(parseNodes(TEXT), known, new Map())).toEqual({
    drain: [
      { node: 'n2', reason: 'Slurm: bad memory, see ticket' },
      { node: 'n4', reason: 'Slurm: drained' },
    ],
    undrain: [],
  });
  const drains = new Map([
    ['n1', 'Slurm: old'],
    ['n2', 'Slurm: bad memory'],
    ['n3', 'by hand'],
  ]);
  expect(drainChanges(parseNodes(TEXT), new Set(['n1', 'n2', 'n3']), drains)).toEqual({
    drain: [],
    undrain: ['n1'],
  });
});
