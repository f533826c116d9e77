/**
 * A restarted job still knows its nodes by the addresses they had when it started. Established connections are
 * rewritten in the images. For those that it opens later its processes live in a control group (v2) in which the kernel
 * translates addresses at the system calls (holdfast-translate, docs/native-programs.md): the job goes on naming the
 * addresses it knows, its sockets hold those of now, and nobody else on the node is concerned.
 */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmdirSync, rmSync } from 'node:fs';
import { isIPv4 } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import { z } from 'zod';
import { HoldfastError } from '../../core/errors';
import type { AddressAlias } from '../../proto/gen/holdfast/v1/manifest';
import { nativeProgram } from '../criu/program';
import { readProc } from '../proc/stat';
import { mustRun } from '../run';
import { type RunDirectory, readJson, writeJson } from '../runDirectory';
import type { Seat } from '../seats/seats';

const record = z.object({ group: z.string() });

/** Where control groups of version 2 are mounted, or null; pure: the text of /proc/self/mountinfo. */
export function groupRoot(mountInfo: string): string | null {
  for (const line of mountInfo.split('\n')) {
    const [mount = '', kind = ''] = line.split(' - ');
    if (kind.startsWith('cgroup2 ')) return mount.split(' ')[4] ?? null;
  }
  return null;
}

/**
 * The control group (v2) that Slurm has made for a task, by its directory here; null where Slurm keeps its tasks in groups of version 1. A tree
 * must not leave it: what ends the task would miss the tree. Pure: the texts of /proc/self/mountinfo and /proc/PID/cgroup.
 */
export function slurmGroup(mountInfo: string, memberships: string): string | null {
  const path = /^0::(.*)$/m.exec(memberships)?.[1] ?? '';
  const mount = mountInfo.split('\n').find((line) => / - cgroup2 /.test(line));
  const [, , , root = '', directory = ''] = mount?.split(' ') ?? [];
  if (!path.includes('slurmstepd.scope/') || !path.startsWith(root)) return null;
  return join(directory, root === '/' ? path : path.slice(root.length));
}

/** Arguments of holdfast-translate; pure. @throws INVALID_ARGUMENT for what is no IPv4 address */
export function translationPairs(aliases: readonly AddressAlias[]): string[] {
  return aliases.map(({ original, current }) => {
    for (const address of [original, current])
      if (!isIPv4(address)) throw new HoldfastError('INVALID_ARGUMENT', `not an IPv4 address: ${address}`);
    return `${original}=${current}`;
  });
}

const readMountInfo = (): string => readFileSync('/proc/self/mountinfo', 'utf8');

const ownGroups = (): string => {
  const root = groupRoot(readMountInfo());
  if (root !== null) return root;
  throw new HoldfastError(
    'INTERNAL',
    'control groups of version 2 are not mounted',
    'mount cgroup2: without it, restarted jobs cannot open connections to nodes that have moved',
  );
};

/** Translates in a group from now on. The first alias of an address counts. */
async function translate(group: string, aliases: readonly AddressAlias[]): Promise<void> {
  await mustRun(nativeProgram('holdfast-translate'), [group, ...translationPairs(aliases)]);
}

/**
 * The translation of one restart. A job that opens no further connections lives without, so a node that cannot
 * translate says so and goes on.
 */
export class Translation {
  private made: string | null = null;
  private slurms: string | null = null;

  constructor(
    private readonly context: { readonly directory: RunDirectory; readonly log: Logger },
    private readonly job: string,
    private readonly incarnation: number,
    private readonly aliases: readonly AddressAlias[],
    private readonly seat: Seat | null,
  ) {}

  /** Where the trees have to be restored; null for a job that has not moved. */
  get group(): string | null {
    return this.made;
  }

  prepare(node: string): void {
    if (!this.aliases.some(({ original, current }) => original !== current)) return;
    try {
      this.slurms = this.seat && slurmGroup(readMountInfo(), readProc(`/proc/${this.seat.pid}/cgroup`) ?? '');
      if (this.slurms !== null) return;
      const group = join(ownGroups(), `holdfast.${node}.${this.job}.${this.incarnation}`);
      // Before it is made (L1).
      writeJson(this.context.directory.translationFile(this.job, this.incarnation), { group });
      mkdirSync(group, { recursive: true });
      this.made = group;
    } catch (err) {
      this.warn(err);
    }
  }

  /** Only when everything is restored: CRIU itself binds the addresses of now. */
  async raise(): Promise<void> {
    // Slurm removes its group, and the translation with it.
    const group = this.made ?? this.slurms;
    if (group) await translate(group, this.aliases).catch((err) => this.warn(err));
  }

  private warn(err: unknown): void {
    this.context.log.warn({ job: this.job, err }, 'addresses of before are not translated');
  }
}

/** Tries it out in a group of its own. @throws HoldfastError that says what is missing */
export async function probeTranslation(): Promise<void> {
  const group = mkdtempSync(join(ownGroups(), 'holdfast-check-'));
  try {
    await translate(group, [{ original: '192.0.2.1', current: '192.0.2.2' }]);
  } finally {
    rmdirSync(group);
  }
}

/**
 * For the end of the trees of an incarnation of the job on this node, or of all of them. A later incarnation may be
 * in the making meanwhile: what it has recorded and made is not touched.
 */
export async function dropTranslation(
  directory: RunDirectory,
  job: string,
  incarnation?: number,
): Promise<void> {
  for (const name of readdirSync(directory.translations)) {
    const [itsJob, itsIncarnation] = name.split('.');
    if (itsJob !== job || Number(itsIncarnation) !== (incarnation ?? Number(itsIncarnation))) continue;
    const file = join(directory.translations, name);
    const parsed = record.safeParse(readJson(file));
    if (parsed.success) await removeGroup(parsed.data.group);
    rmSync(file, { force: true });
  }
}

const REMOVE_TIMEOUT_MS = 5000;
const REMOVE_POLL_MS = 20;

/** A group goes only when the last of its processes has gone. */
async function removeGroup(group: string): Promise<void> {
  for (let waitedMs = 0; existsSync(group); waitedMs += REMOVE_POLL_MS) {
    try {
      rmdirSync(group);
    } catch (error) {
      if (waitedMs >= REMOVE_TIMEOUT_MS) throw error;
      await delay(REMOVE_POLL_MS);
    }
  }
}

/** Removes the translations of jobs that have no tree here any more. */
export async function dropStaleTranslations(
  directory: RunDirectory,
  isHosted: (job: string) => boolean,
): Promise<void> {
  for (const name of readdirSync(directory.translations)) {
    const [job = ''] = name.split('.');
    if (!isHosted(job)) await dropTranslation(directory, job);
  }
}
