/**
 * A real S3 server for tests: Ceph's RADOS Gateway on a monitor and one bluestore OSD of its own, all below one
 * directory. Needs the packages ceph-mon, ceph-osd, radosgw and ceph-common.
 */
import { randomBytes, randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readFile, rm, rmdir, writeFile } from 'node:fs/promises';
import { isIPv4 } from 'node:net';
import { join, resolve } from 'node:path';
import { cephConfiguration, type RgwIdentity, type RgwPaths, rgwPaths } from './config';
import { type Daemon, run, startDaemon } from './daemon';
import { freePort, isFree } from './port';
import { waitUntilAnswering } from './ready';

export interface RgwOptions {
  /** Made when missing. Data of an earlier instance that was kept there is served again. */
  readonly directory: string;
  /** IPv4 address of this network namespace; the default is the loopback. */
  readonly address?: string;
  /** TCP port of the S3 endpoint; chosen when absent. */
  readonly port?: number;
  /** Leave the data behind at stop(), to start on it again. */
  readonly keep?: boolean;
}

export interface Rgw {
  readonly endpoint: string;
  readonly accessKey: string;
  readonly secretKey: string;
  readonly region: string;
  /** Process ids of gateway, OSD and monitor: a test may kill them. */
  readonly pids: readonly number[];
  /** Ends the daemons and removes the directory unless it is kept. May be called again. */
  stop(): Promise<void>;
}

const COMMAND_TIMEOUT_MS = 60_000;
const STOP_GRACE_MS = 10_000;

/** Starts the three daemons and makes the user; resolves when the gateway answers. */
export async function startRgw(options: RgwOptions): Promise<Rgw> {
  const directory = resolve(options.directory);
  const paths = rgwPaths(directory);
  const started: Daemon[] = [];
  const stop = async () => {
    for (const daemon of [...started].reverse()) {
      await daemon.stop(options.keep ? 'SIGTERM' : 'SIGKILL', STOP_GRACE_MS);
    }
    if (!options.keep || !existsSync(identityFile(directory))) await removeData(directory, paths);
  };
  try {
    const known = await readIdentity(directory);
    // Without an identity, what is there is the rest of a start that did not end.
    if (known === null) await removeData(directory, paths);
    const identity = known ?? (await newIdentity(options));
    await prepare(directory, paths, identity, options);
    await startDaemons(identity, paths, known === null, started);
    await writeFile(identityFile(directory), JSON.stringify(identity), { mode: 0o600 });
    const { address, port, accessKey, secretKey } = identity;
    const pids = started.map((daemon) => daemon.pid).reverse();
    return { endpoint: `http://${address}:${port}`, accessKey, secretKey, region: 'us-east-1', pids, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

const identityFile = (directory: string) => join(directory, 'identity.json');

async function readIdentity(directory: string): Promise<RgwIdentity | null> {
  if (!existsSync(identityFile(directory))) return null;
  return JSON.parse(await readFile(identityFile(directory), 'utf8')) as RgwIdentity;
}

/** Removes what an instance made, and the directory when nothing else is in it. */
async function removeData(directory: string, paths: RgwPaths): Promise<void> {
  for (const path of [...Object.values(paths), identityFile(directory)]) {
    await rm(path, { recursive: true, force: true });
  }
  await rmdir(directory).catch(() => undefined);
}

async function newIdentity(options: RgwOptions): Promise<RgwIdentity> {
  const address = options.address ?? '127.0.0.1';
  if (!isIPv4(address)) throw new Error(`the address must be IPv4, not ${address}`);
  return {
    fsid: randomUUID(),
    osdUuid: randomUUID(),
    address,
    port: options.port ?? (await freePort(address)),
    monitorPort: await freePort(address),
    accessKey: `TEST${randomBytes(8).toString('hex').toUpperCase()}`,
    secretKey: randomBytes(20).toString('hex'),
  };
}

async function prepare(directory: string, paths: RgwPaths, identity: RgwIdentity, options: RgwOptions) {
  const { address, port, monitorPort } = identity;
  if ((options.address ?? address) !== address || (options.port ?? port) !== port) {
    throw new Error(`the data in ${directory} belongs to an instance at ${address}:${port}`);
  }
  for (const wanted of [port, monitorPort]) {
    if (!(await isFree(address, wanted)))
      throw new Error(`cannot listen on ${address}:${wanted}: it is taken`);
  }
  for (const path of [paths.monitor, paths.osd, paths.gateway, paths.log, join(paths.run, 'crash')]) {
    await mkdir(path, { recursive: true, mode: 0o700 });
  }
  await writeFile(paths.configuration, cephConfiguration(identity, paths), { mode: 0o600 });
}

async function startDaemons(identity: RgwIdentity, paths: RgwPaths, fresh: boolean, started: Daemon[]) {
  const conf = ['-c', paths.configuration];
  const start = async (name: string, ...argv: string[]) => {
    started.push(await startDaemon(name, argv, join(paths.log, `${name}.out`)));
  };
  const command = (...argv: string[]) => unlessEnded(started, run(argv, COMMAND_TIMEOUT_MS));

  if (fresh) await makeMonitor(identity, paths, command);
  await start('mon', 'ceph-mon', ...conf, '-i', 'a', '-f');
  if (fresh) {
    const mkfs = ['--no-mon-config', '--mkfs', '--osd-uuid', identity.osdUuid];
    await Promise.all([
      command('ceph', ...conf, 'osd', 'new', identity.osdUuid),
      command('ceph-osd', ...conf, '-i', '0', ...mkfs),
    ]);
  }
  await start('osd', 'ceph-osd', ...conf, '-i', '0', '-f');
  if (fresh) {
    const keys = ['--access-key', identity.accessKey, '--secret', identity.secretKey];
    const user = ['--uid=holdfast', '--display-name=holdfast', ...keys];
    await command('radosgw-admin', ...conf, '-n', 'client.rgw', 'user', 'create', ...user);
  }
  await start('rgw', 'radosgw', ...conf, '-n', 'client.rgw', '-f');
  await unlessEnded(started, waitUntilAnswering(identity.address, identity.port, COMMAND_TIMEOUT_MS));
}

type Command = (...argv: string[]) => Promise<string>;

async function makeMonitor({ address, monitorPort, fsid }: RgwIdentity, paths: RgwPaths, command: Command) {
  const map = join(paths.run, 'monmap');
  const member = ['--addv', 'a', `[v2:${address}:${monitorPort}]`];
  await command('monmaptool', '--create', '--clobber', '--fsid', fsid, ...member, map);
  await command('ceph-mon', '-c', paths.configuration, '-i', 'a', '--mkfs', '--monmap', map);
}

/** The work's result, or an error as soon as one of the daemons it depends on has ended. */
async function unlessEnded<T>(daemons: readonly Daemon[], work: Promise<T>): Promise<T> {
  const ends = daemons.map(async ({ name, ended }) => {
    throw new Error(`${name} ended while the gateway was started: ${await ended}`);
  });
  for (const end of ends) end.catch(() => undefined);
  return Promise.race([work, ...ends]);
}
