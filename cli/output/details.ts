/** One object with everything that is known about it, for people. */

import { formatPolicy } from '../../core/retention';
import type { CheckpointSummary, Decision, Job, Node } from '../../proto/gen/holdfast/v1/coordinator';
import type { JobSpec, Manifest, NodePart, TreeImage } from '../../proto/gen/holdfast/v1/manifest';
import { formatCommand, formatCount, formatDuration, formatSize, formatTime } from './format';
import { layOut, printFields } from './table';
import { paint, print } from './terminal';
import { fillingText, jobNodes, jobState, nodeState } from './views';

function heading(text: string): void {
  print('');
  print(paint('bold', text));
}

export function printJob(job: Job): void {
  const { spec } = job;
  printFields([
    ['job', job.id],
    ['name', spec?.name ?? ''],
    ['state', jobState(job)],
    ['reason', job.reason],
    ['memory', fillingText(job)],
    ['exit code', job.exitCode ?? ''],
    ['command', formatCommand(spec?.argv ?? [])],
    ['directory', spec?.workingDirectory ?? ''],
    ['output', spec?.outputPath ?? ''],
    ['user', spec ? `${spec.uid}:${spec.gid}` : ''],
    ['nodes', jobNodes(job).join(', ')],
    ['checkpoints', scheduleText(job)],
    ['next checkpoint', nextText(job)],
    ['deadline', job.deadlineMs > 0 ? formatTime(job.deadlineMs) : ''],
    ['retention', spec?.retention ? formatPolicy(spec.retention) : ''],
    ['last generation', job.lastGeneration || 'none'],
    ['incarnation', job.incarnation],
    ['restarts', job.restartCount],
    ['slurm', slurmText(spec)],
    ['started by', job.tracked ? 'somebody else; tracked' : 'holdfast'],
    ['created', formatTime(job.createdMs)],
    ['ended', formatTime(job.endedMs)],
    ['addresses', job.addressAliases.map(({ original, current }) => `${original} → ${current}`).join(', ')],
  ]);
  printTrees(job);
  printDecisions(job);
}

function slurmText(spec: JobSpec | undefined): string {
  if (spec?.slurm === undefined) return '';
  const { cluster, jobId, restartCount } = spec.slurm;
  return `job ${jobId} of ${cluster}${restartCount > 0 ? `, run ${restartCount + 1}` : ''}`;
}

function scheduleText({ spec, deadlineMs }: Job): string {
  if (spec?.adaptive) return 'as often as cost and failures suggest';
  if (spec?.cron) return `cron ${spec.cron} in ${spec.timeZone || 'UTC'}`;
  if (spec?.intervalMs) return `every ${formatDuration(spec.intervalMs)}`;
  return deadlineMs > 0 ? 'before the deadline' : 'on request';
}

function nextText({ schedule }: Job): string {
  return schedule ? `${formatTime(schedule.startMs)} (${schedule.reason})` : '';
}

function printDecisions({ decisions }: Job): void {
  if (decisions.length === 0) return;
  heading('Decisions');
  const columns = [
    { title: 'TIME', cell: (decision: Decision) => formatTime(decision.timeMs) },
    { title: 'ABOUT', cell: (decision: Decision) => decision.subject },
    { title: 'WHAT AND WHY', cell: (decision: Decision) => decision.reason },
  ];
  for (const line of layOut(columns, decisions)) print(line);
}

function printTrees(job: Job): void {
  if (job.trees.length === 0) return;
  heading('Trees');
  const columns = [
    { title: 'TREE', cell: (tree: Job['trees'][number]) => tree.treeId },
    { title: 'NODE', cell: (tree: Job['trees'][number]) => tree.node },
    { title: 'ROOT PID', cell: (tree: Job['trees'][number]) => tree.rootPid },
  ];
  for (const line of layOut(columns, job.trees)) print(line);
}

export function printNode(node: Node): void {
  const { facts } = node;
  printFields([
    ['node', node.name],
    ['state', nodeState(node)],
    ['drained', node.drain ? `since ${formatTime(node.drain.sinceMs)} ${node.drain.reason}`.trim() : ''],
    ['last seen', formatTime(node.lastSeenMs)],
    ['version', node.version],
    ['host name', facts?.hostname ?? ''],
    ['addresses', facts?.addresses.join(', ') ?? ''],
    ['architecture', facts?.architecture ?? ''],
    ['kernel', facts?.kernelRelease ?? ''],
    ['CRIU', facts?.criuVersion ?? ''],
    ['memory', formatSize(facts?.memoryBytes ?? 0)],
    ['CPU flags', facts?.cpuFlags.join(' ') ?? ''],
  ]);
}

function printTree(tree: TreeImage): void {
  const { memory } = tree;
  printFields(
    [
      ['tree', tree.main ? `${tree.treeId} (main)` : tree.treeId],
      ['command', tree.command],
      ['user', `${tree.uid}:${tree.gid}`],
      ['held', formatDuration(tree.heldMs)],
      [
        'memory',
        memory
          ? `${formatSize(memory.capturedBytes)} captured in ${formatCount(memory.chunks, 'chunk')}, ${formatSize(memory.storedBytes)} stored`
          : '',
      ],
      ['objects', formatCount(tree.packs.length, 'pack')],
      ['TCP ports', tree.tcpPorts.join(', ')],
    ],
    '  ',
  );
  const tasks = [
    { title: 'PID', cell: (task: TreeImage['tasks'][number]) => task.pid, align: 'right' as const },
    { title: 'PARENT', cell: (task: TreeImage['tasks'][number]) => task.parentPid, align: 'right' as const },
    {
      title: 'THREADS',
      cell: (task: TreeImage['tasks'][number]) => task.threadCount,
      align: 'right' as const,
    },
    { title: 'NAME', cell: (task: TreeImage['tasks'][number]) => task.comm },
  ];
  for (const line of layOut(tasks, tree.tasks)) print(`    ${line}`);
  if (tree.sharedFiles.length === 0) return;
  const files = [
    { title: 'SIZE', cell: (file: TreeImage['sharedFiles'][number]) => formatSize(file.sizeBytes) },
    { title: 'USE', cell: fileUse },
    { title: 'SHARED FILE', cell: (file: TreeImage['sharedFiles'][number]) => file.path },
  ];
  for (const line of layOut(files, tree.sharedFiles)) print(`    ${line}`);
}

function fileUse(file: TreeImage['sharedFiles'][number]): string {
  if (!file.writable) return 'read';
  return file.appendOnly ? 'append' : 'write';
}

function printPart(part: NodePart): void {
  heading(`Node ${part.node}`);
  printFields(
    [
      ['kernel', part.facts?.kernelRelease ?? ''],
      ['CRIU', part.facts?.criuVersion ?? ''],
      ['addresses', part.facts?.addresses.join(', ') ?? ''],
    ],
    '  ',
  );
  part.trees.forEach(printTree);
}

export function printCheckpoint(manifest: Manifest, summary: CheckpointSummary | undefined): void {
  const { header, tail } = manifest;
  printFields([
    ['checkpoint', header?.ckptId ?? ''],
    ['job', header?.job ?? ''],
    ['generation', header?.generation ?? ''],
    ['created', formatTime(header?.createdMs ?? 0)],
    ['command', formatCommand(header?.spec?.argv ?? [])],
    ['output', header?.spec?.outputPath ?? ''],
    ['nodes', manifest.nodes.map((part) => part.node).join(', ')],
    ['trees', tail?.treeCount ?? ''],
    ['tasks', tail?.taskCount ?? ''],
    ['captured', summary ? formatSize(summary.capturedBytes) : ''],
    ['uploaded', summary ? formatSize(summary.uploadedBytes) : ''],
    ['held', summary ? formatDuration(summary.heldMs) : ''],
    ['pinned', summary?.pinned ? 'yes' : ''],
    ['took', summary ? formatDuration(summary.durationMs) : ''],
    ['quarantine', summary?.quarantine ?? ''],
    ['holdfast', header?.holdfastVersion ?? ''],
    ['format', `${manifest.format} ${manifest.version}`],
  ]);
  manifest.nodes.forEach(printPart);
}
