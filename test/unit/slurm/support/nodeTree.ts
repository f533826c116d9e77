/** A directory that looks like a node: a /proc with processes, and control groups. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface FakeProcess {
  readonly pid: number;
  readonly parent?: number;
  readonly uid?: number;
  readonly comm?: string;
  readonly words?: readonly string[];
  readonly state?: string;
  /** Lines of /proc/PID/cgroup. */
  readonly groups?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
}

const ALICE = 2001;

export class NodeTree {
  readonly base = mkdtempSync(join(tmpdir(), 'hf-node-'));

  /** @param mounts lines of /proc/self/mountinfo */
  constructor(mounts: readonly string[]) {
    this.write('proc/self/mountinfo', `${mounts.join('\n')}\n`);
  }

  add(process: FakeProcess): void {
    const { pid, parent = 1, uid = ALICE, comm = 'app', words = [`./${comm}`], state = 'S' } = process;
    const directory = `proc/${pid}`;
    const zeros = Array(15).fill('0').join(' ');
    this.write(
      `${directory}/stat`,
      `${pid} (${comm}) ${state} ${parent} ${pid} ${pid} ${zeros} ${1000 + pid} 0\n`,
    );
    this.write(
      `${directory}/status`,
      `Name:\t${comm}\nUid:\t${Array(4).fill(uid).join('\t')}\nGid:\t100\t100\n`,
    );
    this.write(`${directory}/cmdline`, words.map((word) => `${word}\0`).join(''));
    this.write(`${directory}/cgroup`, `${(process.groups ?? ['0::/']).join('\n')}\n`);
    const environment = Object.entries(process.environment ?? {}).map(
      ([name, value]) => `${name}=${value}\0`,
    );
    this.write(`${directory}/environ`, environment.join(''));
  }

  /** A slurmstepd of root's, with the padding that its title has. */
  addDaemon(pid: number, title: string, groups?: readonly string[], uid = 0): void {
    this.add({ pid, uid, comm: 'slurmstepd', words: [`slurmstepd: ${title}`, '', ''], groups });
  }

  write(path: string, text: string): void {
    const full = join(this.base, path);
    mkdirSync(join(full, '..'), { recursive: true });
    writeFileSync(full, text);
  }

  remove(): void {
    rmSync(this.base, { recursive: true });
  }
}
