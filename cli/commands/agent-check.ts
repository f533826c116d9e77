import { type Command, Option } from 'commander';
import type * as AgentCheck from '../../agent/check';
import type * as AgentOptions from '../../agent/options';
import { HoldfastError } from '../../core/errors';
import { configurationOf } from '../configuration/daemon';
import type { JsonOption } from '../options';
import { printTable } from '../output/table';
import { paint, print, printJson } from '../output/terminal';

interface CheckOptions extends JsonOption {
  readonly criu?: string;
  readonly runDir?: string;
}

const HELP = `
Everything is probed, nothing assumed; nothing is changed. What is degraded works, in another way.

Examples:
  holdfast agent check
  holdfast agent check --json | jq '.checks[] | select(.state != "ok")'

Exit codes:
  0 the node can be used; 7 something required is missing`;

const columns = [
  { title: 'CHECK', cell: (result: AgentCheck.CheckResult) => result.name },
  { title: 'STATE', cell: (result: AgentCheck.CheckResult) => result.state },
  { title: 'NEED', cell: (result: AgentCheck.CheckResult) => (result.required ? 'required' : 'optional') },
  { title: 'FOR', cell: (result: AgentCheck.CheckResult) => result.meaning },
  { title: 'FOUND', cell: (result: AgentCheck.CheckResult) => result.detail },
];

function printResults(results: readonly AgentCheck.CheckResult[]): void {
  printTable(columns, results, 'nothing to check');
  const toMend = results.filter((result) => result.state !== 'ok' && result.remedy);
  if (toMend.length === 0) return;
  print('');
  print(paint('bold', 'Remedies'));
  for (const { name, remedy } of toMend) print(`  ${name}: ${remedy}`);
}

/** What the agent would use that is started now. */
function configured(agent: Command | null): Partial<AgentOptions.AgentOptionsInput> {
  const { AGENT_PART } = require('../../agent/options') as typeof AgentOptions;
  return agent === null ? {} : configurationOf(agent, AGENT_PART);
}

async function check(options: CheckOptions, command: Command): Promise<void> {
  const { checkNode, isNodeUsable } = require('../../agent/check') as typeof AgentCheck;
  const { criuPath, runDirectory } = configured(command.parent);
  const results = await checkNode({
    criuPath: options.criu ?? criuPath,
    runDirectory: options.runDir ?? runDirectory,
  });
  const usable = isNodeUsable(results);
  if (options.json) printJson({ usable, checks: results });
  else printResults(results);
  if (usable) return;
  const names = results
    .filter((result) => result.required && result.state === 'missing')
    .map(({ name }) => name);
  throw new HoldfastError(
    'CRIU_UNUSABLE',
    `this node cannot be used: ${names.join(', ')} missing`,
    'follow the remedies above, then check again',
  );
}

export function addAgentCheck(agent: Command): void {
  agent
    .command('check')
    .summary('show what this node has and lacks')
    .description(
      'Shows what this node has and lacks to be checkpointed, what each thing is for, and the remedy.',
    )
    .option('--json', 'machine-readable output')
    .addOption(new Option('--criu <path>', 'CRIU to check (default: searched)').env('HOLDFAST_CRIU'))
    .addOption(new Option('--run-dir <dir>', 'directory to check (default: /run/holdfast)'))
    .addHelpText('after', HELP)
    .action(check);
}
