/** Where secrets of a site would be seen: looked for on all nodes while a stack works, and in all that it leaves. */
import { readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { Stack } from '../harness/stack';

const LOOK_MS = 50;
/** A process that was just made may still have to become its program. */
const LOOKS = 3;
/** Our programs that get no secret: they are children of an agent, and some run with a user's rights. */
const CHILD = /^(criu|holdfast-)/;

export class SecretWatch {
  readonly #found = new Set<string>();
  readonly #timer: NodeJS.Timeout;
  #children = 0;
  /** How often each process was looked at. */
  readonly #looks = new Map<string, number>();

  constructor(
    private readonly stack: Stack,
    private readonly secrets: readonly string[],
  ) {
    if (secrets.length === 0 || secrets.some((secret) => secret.length < 8)) throw new Error('no secrets');
    this.#timer = setInterval(() => this.#look(), LOOK_MS);
  }

  /** Places in which one was seen: arguments and environments since the start, and files that there are now. */
  end(): string[] {
    clearInterval(this.#timer);
    this.#look();
    if (this.#children === 0) throw new Error('no child of an agent was seen: the watch proves nothing');
    for (const part of ['logs', 'state', 'store']) this.#lookInto(join(this.stack.directory, part));
    return [...this.#found].sort();
  }

  #look(): void {
    for (const node of this.stack.cluster.nodes) {
      const proc = node.path('/proc');
      for (const pid of readdirSync(proc).filter((name) => /^[0-9]+$/.test(name)))
        this.#lookAt(join(proc, pid));
    }
  }

  /** @param directory of the process in the /proc of its node */
  #lookAt(directory: string): void {
    const looks = (this.#looks.get(directory) ?? 0) + 1;
    if (looks > LOOKS) return;
    this.#looks.set(directory, looks);
    const name = nameOf(directory);
    this.#check(`arguments of ${name}`, () => readFileSync(join(directory, 'cmdline')));
    if (!CHILD.test(name)) return;
    this.#children++;
    this.#check(`environment of ${name}`, () => readFileSync(join(directory, 'environ')));
  }

  #lookInto(directory: string): void {
    for (const name of readdirSync(directory, { recursive: true, encoding: 'utf8' })) {
      const path = join(directory, name);
      if (statSync(path).isFile()) this.#check(path, () => readFileSync(path));
    }
  }

  /** What is gone meanwhile shows nothing. */
  #check(place: string, read: () => Buffer): void {
    try {
      const bytes = read();
      if (this.secrets.some((secret) => bytes.includes(secret))) this.#found.add(place);
    } catch {}
  }
}

function nameOf(directory: string): string {
  try {
    return basename(readlinkSync(join(directory, 'exe')));
  } catch {
    return '';
  }
}
