/** A real slurmdbd with a real MariaDB on the head: what `sacct` says then is what a site's does. Both end with their node. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { until } from '../e2e/survival';
import { Daemon } from '../harness/daemon';
import type { SimNode } from '../nodes/node';
import { slurmdbdConf } from './config';

const UP_LIMIT_MS = 30_000;
/** Of the node's own /run; where clients look for it. */
const SOCKET = '/run/mysqld/mysqld.sock';
/** As Debian's package has it; one statement a line. */
const SYSTEM_TABLES = '/usr/share/mysql/mysql_system_tables.sql';
/** Small, and of no use after a crash. */
const LEAN = [
  ...['--skip-networking', '--skip-name-resolve', '--skip-grant-tables', '--skip-log-bin'],
  ...['--performance-schema=off', '--innodb-buffer-pool-size=16M', '--innodb-log-file-size=8M'],
  ...['--innodb-flush-log-at-trx-commit=0', '--innodb-doublewrite=0', '--innodb-flush-method=nosync'],
  ...['--key-buffer-size=1M', '--aria-pagecache-buffer-size=8M'],
];

/**
 * Resolves when slurmdbd takes records.
 * @param directory of the cluster, with `etc` in it, which the node sees as /etc/slurm
 */
export async function startAccounting(head: SimNode, directory: string): Promise<void> {
  writeFileSync(join(directory, 'etc/slurmdbd.conf'), slurmdbdConf({ directory, name: head.name }), {
    mode: 0o600,
  });
  const data = join(directory, 'mysql');
  mkdirSync(data);
  const must = async (argv: readonly string[], input = ''): Promise<void> => {
    const { code, stdout, stderr } = await head.run(argv, { input });
    if (code !== 0) throw new Error(`${argv.join(' ')}: ${code}\n${stdout}${stderr}`);
  };
  const server = ['mariadbd', '--no-defaults', `--datadir=${data}`, '--user=root', ...LEAN];
  // What mariadb-install-db does as well, in a few seconds more.
  await must(
    [...server, '--bootstrap'],
    `create database mysql;\nuse mysql;\n${readFileSync(SYSTEM_TABLES, 'utf8')}`,
  );
  await must(['mkdir', '-p', '/run/mysqld']);
  await Daemon.start({
    ...{ node: head, name: 'mariadb', logPath: join(directory, 'mariadb.log') },
    // It says on stderr that it is ready.
    argv: ['sh', '-c', 'exec "$@" 2>&1', 'sh', ...server, `--socket=${SOCKET}`, '--pid-file=/run/mysqld/pid'],
    readyLine: /ready for connections/,
  });
  await must(['slurmdbd']);
  const answers = async () => {
    const { code } = await head.run(['sacctmgr', '--noheader', '--parsable2', 'show', 'stats']);
    return code === 0 ? true : null;
  };
  await until('slurmdbd', answers, UP_LIMIT_MS);
}
