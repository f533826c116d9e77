import type { Command } from 'commander';
import { addJson, addSocket, type JsonOption, type SocketOption, withConnection } from '../options';
import { policyText, printDecisions, viewDecision, viewPolicy } from '../output/retention';
import { print, printJson } from '../output/terminal';
import { POLICY_HELP, parsePolicy } from '../policy';

const EXAMPLES = `
Examples:
  holdfast retention explain JOB
  holdfast retention set JOB last=3,daily=7,end=14d
  holdfast retention set JOB default

Exit codes:
  0; 2 not a policy; 3 no such job; others: see holdfast(1), EXIT STATUS`;

async function explain(job: string, options: SocketOption & JsonOption): Promise<void> {
  await withConnection(options, async (connection) => {
    const { policy, isDefault, decisions } = await connection.call('explainRetention', { job });
    if (options.json) {
      const view = { job, policy: viewPolicy(policy), isDefault, decisions: decisions.map(viewDecision) };
      printJson(view);
      return;
    }
    print(`policy: ${policyText(policy, isDefault)}`);
    if (decisions.length > 0) printDecisions(decisions);
    else print('no checkpoints');
  });
}

async function set(job: string, text: string, options: SocketOption & JsonOption): Promise<void> {
  const wanted = text === 'default' ? undefined : parsePolicy(text);
  await withConnection(options, async (connection) => {
    const { policy, isDefault } = await connection.call('setRetention', { job, policy: wanted });
    if (options.json) printJson({ job, policy: viewPolicy(policy), isDefault });
    else print(`policy: ${policyText(policy, isDefault)}`);
  });
}

export function addRetention(program: Command): void {
  const retention = program
    .command('retention')
    .summary('say which checkpoints of a job are kept')
    .description('Says which checkpoints of a job are kept, and why.')
    .addHelpText('after', EXAMPLES);
  const explainCommand = retention
    .command('explain')
    .summary('what would be kept and removed now, and why')
    .description(
      'Shows what retention would do with each checkpoint of a job now, and why. It changes nothing.',
    )
    .argument('<job>', 'job id')
    .addHelpText('after', EXAMPLES);
  addSocket(addJson(explainCommand)).action(explain);
  const setCommand = retention
    .command('set')
    .summary("change a job's policy")
    .description('Sets the policy of a job, from its next checkpoint or `holdfast gc` on.')
    .argument('<job>', 'job id')
    .argument('<policy>', 'rules as below, or "default" for that of the coordinator')
    .addHelpText('after', `${POLICY_HELP}\n${EXAMPLES}`);
  addSocket(addJson(setCommand)).action(set);
}
