import type { Command } from 'commander';
import type * as Authority from '../../core/tls/authority';
import { addJson, type JsonOption } from '../options';
import { print, printJson } from '../output/terminal';
import { collect, parseChoice, parseCount } from '../values';

interface InitOptions extends JsonOption {
  readonly name: string;
}

interface IssueOptions extends JsonOption {
  readonly role: Authority.TlsRole;
  readonly host?: string[];
  readonly dir: string;
  readonly days?: number;
}

const HELP = `
Example:
  holdfast ca init /etc/holdfast/ca
  holdfast ca issue head --role coordinator --host head.example.org --host 10.0.0.1 --dir /etc/holdfast/ca
  holdfast ca issue n1 --role node --dir /etc/holdfast/ca

A node needs ca.crt, NAME.crt and NAME.key in the directory it names with --tls. ca.key stays where it was made:
who has it can be any node.

Exit codes:
  0; 2 a name or file is not valid; 5 the file exists; others: see holdfast(1), EXIT STATUS`;

/** Loaded on use: certificates are made once, every other command starts without the library. */
const authority = () => require('../../core/tls/authority') as typeof Authority;

function told(files: string[], json: boolean | undefined): void {
  if (json) printJson({ files });
  else for (const file of files) print(file);
}

async function init(directory: string, options: InitOptions): Promise<void> {
  await authority().issueAuthority(directory, options.name);
  told([`${directory}/ca.crt`, `${directory}/ca.key`], options.json);
}

async function issue(name: string, options: IssueOptions): Promise<void> {
  const { role, host: hosts, dir, days } = options;
  await authority().issueCertificate(dir, { name, role, hosts, days });
  told([`${dir}/${name}.crt`, `${dir}/${name}.key`], options.json);
}

export function addCa(program: Command): void {
  const ca = program
    .command('ca')
    .summary("make the cluster's certificates")
    .description("Makes the cluster's certificates.")
    .addHelpText('after', HELP);
  const initCommand = ca
    .command('init')
    .summary('make the certificate authority')
    .description("Makes the cluster's certificate authority: DIR/ca.crt and DIR/ca.key.")
    .argument('<dir>', 'directory to make it in')
    .option('--name <name>', 'name of the cluster', 'holdfast')
    .addHelpText('after', HELP);
  addJson(initCommand).action(init);
  const issueCommand = ca
    .command('issue')
    .summary('make a certificate for a coordinator or a node')
    .description('Makes DIR/NAME.crt and DIR/NAME.key, signed by DIR/ca.key.')
    .argument('<name>', 'name of the node, or of the coordinator')
    .requiredOption(
      '--role <node|coordinator>',
      'what its holder may be',
      parseChoice(['node', 'coordinator']),
    )
    .option('--host <host>', 'host name or address it is reached by (repeatable)', collect)
    .requiredOption('--dir <dir>', 'directory with the authority')
    .option('--days <n>', 'how long it is valid (default: 825)', parseCount)
    .addHelpText('after', HELP);
  addJson(issueCommand).action(issue);
}
