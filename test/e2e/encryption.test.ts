/** Encrypted checkpoints: nothing of the job's memory is readable in the store, and rotation leaves every generation usable. */
import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { decodeManifest, manifestKey } from '../../core/manifest';
import { objectsOf } from '../../core/manifest-objects';
import { readText, Stack, USER } from '../harness/stack';
import { Leftovers } from './leftovers';
import { SecretWatch } from './secrets';
import {
  checkpoint,
  goesOn,
  killJob,
  linesAtLeast,
  restart,
  type Submitted,
  submit,
  tails,
} from './survival';

const PLAIN = ['--compression', 'none'];
/** The last line of the victim, from its memory. */
const MARKER = `marker-${randomBytes(16).toString('hex')}`;
/** Tenant of the job's user by name. */
const TENANT = 'nobody';

let stack: Stack;
let leftovers: Leftovers;
let keys: string;

const addKey = (name: string): void =>
  writeFileSync(join(keys, TENANT, name), `${randomBytes(32).toString('hex')}\n`, { mode: 0o600 });

beforeAll(async () => {
  keys = mkdtempSync('/srv/holdfast-keys-');
  mkdirSync(join(keys, TENANT), { mode: 0o700 });
  addKey('2026-01');
  const flags = [...PLAIN, '--encryption-keys', keys];
  stack = await Stack.start({
    nodes: ['node1', 'node2'],
    store: 'directory',
    agentFlags: { node1: flags, node2: flags },
  });
  leftovers = new Leftovers(stack, ['node1', 'node2']);
  writeFileSync(join(stack.shared, 'marker'), `${MARKER}\n`, { mode: 0o644 });
});
afterAll(async () => {
  await stack?.stop();
  rmSync(keys, { recursive: true });
});

/** Reads the marker into memory, which no argument and no variable of its environment shows; has a file in /tmp open. */
function victim(name: string): string[] {
  const script =
    `read -r MARKER < marker; exec 3> /tmp/${name}.notes; echo "$MARKER" >&3; i=0; ` +
    `while [ ! -e ${name}.stop ]; do i=$((i + 1)); echo "$i"; sleep 0.05; done; echo "end $MARKER"`;
  return ['sh', '-c', script];
}

const start = async (name: string): Promise<Submitted> => {
  const job = await submit(stack, { name, argv: victim(name), nodes: ['node1'] });
  await linesAtLeast(job.output, 10);
  return job;
};

const storeDirectory = (): string => fileURLToPath(stack.storeAccess.url);

/** Objects of the store in which the marker can be read. */
function readable(job: string): string[] {
  const directory = storeDirectory();
  const files = readdirSync(directory, { recursive: true, withFileTypes: true }).filter((one) =>
    one.isFile(),
  );
  expect(files.length).toBeGreaterThan(3);
  const paths = files.map((one) => join(one.parentPath ?? one.path, one.name));
  return paths.filter((path) => path.includes(job) && readFileSync(path).includes(MARKER));
}

/** Ids of all keys that a generation's manifest names; undefined for what is not encrypted. */
function keyIds(job: string, generation: number): (string | undefined)[] {
  const key = manifestKey(job, generation);
  const directory = storeDirectory();
  const path = readdirSync(directory, { recursive: true, encoding: 'utf8' }).find((name) =>
    name.endsWith(key),
  );
  const manifest = decodeManifest(readFileSync(join(directory, path ?? key)), key);
  const objects = manifest.nodes.flatMap(({ trees }) => trees).flatMap(objectsOf);
  return [...new Set(objects.map((object) => object.encryptionKey))];
}

async function endsWithItsMarker(
  name: string,
  ckpt: number,
  node: string,
  output: string,
  flags: string[] = [],
): Promise<void> {
  writeFileSync(join(stack.shared, `${name}.stop`), '');
  const ended = await restart(stack, ckpt, [node], flags);
  if (ended.code !== 0) throw new Error(`${ended.stderr}\n${stack.logs()}`);
  expect(readText(output).trim().split('\n').at(-1)).toBe(`end ${MARKER}`);
  rmSync(join(stack.shared, `${name}.stop`));
}

async function restartAgents(flags: readonly string[]): Promise<void> {
  for (const name of ['node1', 'node2']) {
    await stack.agents.get(name)?.stop();
    await stack.startAgent(name, {}, flags);
  }
}

test('the store shows nothing, and both generations restart after a rotation', async () => {
  const { id, output } = await start('secret');
  const watch = new SecretWatch(stack, [readText(join(keys, TENANT, '2026-01')).trim()]);
  const first = await checkpoint(stack, 'node1', id);
  expect(watch.end()).toEqual([]);
  addKey('2026-02');
  await goesOn(output);
  const second = await checkpoint(stack, 'node1', id);
  await killJob(stack, 'node1', id);

  expect(readable(id)).toEqual([]);
  expect(keyIds(id, 1)).toEqual([`${TENANT}/2026-01`]);
  expect(keyIds(id, 2)).toEqual([`${TENANT}/2026-02`]);
  expect(stack.logs(1000)).not.toContain(readText(join(keys, TENANT, '2026-02')).trim());

  expect((await stack.holdfast('node1', ['catalog', 'rebuild'])).code).toBe(0);
  await endsWithItsMarker('secret', second, 'node2', output);
  await endsWithItsMarker('secret', first, 'node1', output);

  // Without the older key its generation is refused before any of the job's files is touched.
  const before = readText(output);
  const tailsBefore = tails(output).length;
  rmSync(join(keys, TENANT, '2026-01'));
  const refused = await restart(stack, first, ['node2']);
  expect(refused.code).toBe(16);
  expect(refused.stderr).toContain(`${TENANT}/2026-01`);
  expect(refused.stderr).toContain('put the key');
  expect(readText(output)).toBe(before);
  expect(tails(output)).toHaveLength(tailsBefore);
  await leftovers.none();
});

test('a user without a key is refused before anything is frozen', async () => {
  const { id, output } = await start('keyless');
  const away = join(dirname(keys), `${Date.now()}-away`);
  mkdirSync(away, { mode: 0o700 });
  try {
    await restartAgents([...PLAIN, '--encryption-keys', away]);
    const refused = await stack.holdfast('node1', ['checkpoint', id], USER);
    expect(refused.code).toBe(16);
    expect(refused.stderr).toContain(TENANT);
    await goesOn(output);
    await killJob(stack, 'node1', id);
  } finally {
    rmSync(away, { recursive: true });
  }
});

test('without encryption the same search finds the marker, and a program can be the source of keys', async () => {
  await restartAgents(PLAIN);
  const { id, output } = await start('open');
  const plain = await checkpoint(stack, 'node1', id);
  expect(readable(id).length).toBeGreaterThan(0);
  expect(keyIds(id, 1)).toEqual([undefined]);

  const program = join(stack.shared, 'keys.sh');
  const key = randomBytes(32).toString('hex');
  writeFileSync(
    program,
    `#!/bin/sh\ncase $1 in newest) echo "site/1 ${key}" ;; *) echo "$2 ${key}" ;; esac\n`,
    {
      mode: 0o700,
    },
  );
  await restartAgents([...PLAIN, '--encryption-key-command', program]);
  await goesOn(output);
  const encrypted = await checkpoint(stack, 'node1', id);
  expect(keyIds(id, 2)).toEqual(['site/1']);
  await killJob(stack, 'node1', id);
  await endsWithItsMarker('open', encrypted, 'node2', output, ['--lazy']);
  await endsWithItsMarker('open', plain, 'node1', output);
});
