import { basename } from 'node:path';
import type { Command } from 'commander';
import type * as Authority from '../../core/tls/authority';
import { TLS_DIRECTORY } from '../../core/tls/files';
import type * as Inventory from '../../core/tls/inventory';
import type { TlsRole } from '../../core/tls/peer';
import type * as Revocation from '../../core/tls/revocation';
import type * as Rotation from '../../core/tls/rotation';
import { addJson, type JsonOption } from '../options';
import { formatTime } from '../output/format';
import { type Column, printTable } from '../output/table';
import { note, print, printJson } from '../output/terminal';
import { collect, parseChoice, parseCount } from '../values';

interface InitOptions extends JsonOption {
  readonly name: string;
}

interface DirectoryOption extends JsonOption {
  readonly dir: string;
}

interface IssueOptions extends DirectoryOption {
  readonly role: TlsRole;
  readonly host?: string[];
  readonly days?: number;
}

interface RotateOptions extends DirectoryOption {
  readonly finish?: boolean;
}

const HELP = `
Examples:
  holdfast ca init
  holdfast ca issue head --role coordinator --host head.example.org --host 10.0.0.1
  holdfast ca issue n1 --role node
  holdfast ca list
  holdfast ca revoke n1        # then copy ca.crl to all machines; issue n1 makes a new one
  holdfast ca rotate           # then copy the files it names to their machines
  holdfast ca rotate --finish  # then copy ca.crt to all of them

A node needs ca.crt, NAME.crt and NAME.key in the directory it names with --tls. ca.key stays where it was made:
who has it can be any node. Running daemons take new files within a minute, or at SIGHUP.

Exit codes:
  0; 2 a name or file is not valid; 3 there is no such certificate; 5 the file exists, or it is not the time for it; others: see holdfast(1),
  EXIT STATUS`;

/** Loaded on use: certificates are made once, every other command starts without the library. */
const authority = () => require('../../core/tls/authority') as typeof Authority;
const rotation = () => require('../../core/tls/rotation') as typeof Rotation;
const revocation = () => require('../../core/tls/revocation') as typeof Revocation;
const inventory = () => require('../../core/tls/inventory') as typeof Inventory;

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

async function rotate({ dir, finish, json }: RotateOptions): Promise<void> {
  const files = finish ? await rotation().finishRotation(dir) : await rotation().rotateAuthority(dir);
  told(files, json);
  if (json) return;
  if (finish) note('copy ca.crt to every machine: what the old authority has signed is refused from then on');
  else note('copy each machine its files, in any order; when all have them: holdfast ca rotate --finish');
}

async function revoke(which: string, { dir, json }: DirectoryOption): Promise<void> {
  const { serial, file } = await revocation().revokeCertificate(dir, which);
  if (json) printJson({ serial, files: [file] });
  else {
    print(file);
    note(`certificate ${serial} is revoked: copy ${basename(file)} to every machine`);
  }
}

const COLUMNS: readonly Column<Inventory.CertificateInfo>[] = [
  { title: 'NAME', cell: ({ name }) => name },
  { title: 'ROLE', cell: ({ role }) => role },
  { title: 'STATE', cell: ({ state }) => state },
  { title: 'UNTIL', cell: ({ notAfterMs }) => formatTime(notAfterMs) },
  { title: 'SIGNED BY', cell: ({ issuer, current }) => (current ? issuer : `${issuer} (old)`) },
];

const REVOKED: readonly Column<Revocation.Revoked>[] = [
  { title: 'REVOKED', cell: ({ serial }) => serial },
  { title: 'SINCE', cell: ({ revokedMs }) => formatTime(revokedMs) },
];

async function list({ dir, json }: DirectoryOption): Promise<void> {
  const certificates = await inventory().listCertificates(dir);
  const revoked = await revocation().listRevoked(dir);
  if (json) {
    printJson({ certificates, revoked });
    return;
  }
  printTable(COLUMNS, certificates, 'no certificates');
  if (revoked.length === 0) return;
  print('');
  printTable(REVOKED, revoked, '');
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
    .argument('[dir]', 'directory to make it in', TLS_DIRECTORY)
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
    .option('--dir <dir>', 'directory with the authority', TLS_DIRECTORY)
    .option('--days <n>', 'how long it is valid (default: 825)', parseCount)
    .addHelpText('after', HELP);
  addJson(issueCommand).action(issue);
  const rotateCommand = ca
    .command('rotate')
    .summary('replace the authority, and all certificates')
    .description(
      'Makes a new authority, and new certificates for all names of the directory. Until --finish the old one is trusted, too.',
    )
    .option('--finish', 'end the trust in the old authority')
    .option('--dir <dir>', 'directory with the authority', TLS_DIRECTORY)
    .addHelpText('after', HELP);
  addJson(rotateCommand).action(rotate);
  const revokeCommand = ca
    .command('revoke')
    .summary('have a certificate refused from now on')
    .description(
      'Puts a certificate on the list of revoked ones, DIR/ca.crl, and removes its files from DIR.',
    )
    .argument('<name|serial>', 'name of a certificate of the directory, or a serial number in hex')
    .option('--dir <dir>', 'directory with the authority', TLS_DIRECTORY)
    .addHelpText('after', HELP);
  addJson(revokeCommand).action(revoke);
  const listCommand = ca
    .command('list')
    .summary('show certificates and when they end')
    .description('Shows the certificates of a directory, who signed them, and when they end.')
    .option('--dir <dir>', 'directory with the certificates', TLS_DIRECTORY)
    .addHelpText('after', HELP);
  addJson(listCommand).action(list);
}
