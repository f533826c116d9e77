import type { Command } from 'commander';
import type { Node } from '../../proto/gen/holdfast/v1/coordinator';
import { addJson, addSocket, type JsonOption, type SocketOption, withConnection } from '../options';
import { ellipsize, formatAge, formatSize } from '../output/format';
import { type Column, printTable } from '../output/table';
import { printJson } from '../output/terminal';
import { nodeState, viewNode } from '../output/views';

const HELP = `
Examples:
  holdfast nodes
  holdfast nodes --json | jq -r '.nodes[] | select(.alive) | .name'

Exit codes:
  0, or as in holdfast(1), EXIT STATUS`;

function columns(nowMs: number): Column<Node>[] {
  return [
    { title: 'NODE', cell: (node) => node.name },
    { title: 'STATE', cell: (node) => nodeState(node) },
    { title: 'SEEN', cell: (node) => formatAge(node.lastSeenMs, nowMs), align: 'right' },
    { title: 'ADDRESSES', cell: (node) => ellipsize(node.facts?.addresses.join(',') ?? '', 40) },
    { title: 'ARCH', cell: (node) => node.facts?.architecture ?? '' },
    { title: 'KERNEL', cell: (node) => node.facts?.kernelRelease ?? '' },
    { title: 'CRIU', cell: (node) => node.facts?.criuVersion ?? '' },
    { title: 'MEMORY', cell: (node) => formatSize(node.facts?.memoryBytes ?? 0), align: 'right' },
    { title: 'VERSION', cell: (node) => node.version },
  ];
}

async function nodes(options: SocketOption & JsonOption): Promise<void> {
  await withConnection(options, async (connection) => {
    const response = await connection.call('listNodes', {});
    if (options.json) printJson({ nodes: response.nodes.map(viewNode) });
    else printTable(columns(Date.now()), response.nodes, 'no nodes have registered');
  });
}

export function addNodes(program: Command): void {
  const command = program
    .command('nodes')
    .summary('list nodes')
    .description('Lists the nodes whose agents have registered, with what they have.')
    .addHelpText('after', HELP);
  addSocket(addJson(command)).action(nodes);
}
