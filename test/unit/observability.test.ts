/** The dashboard and the documents name exactly the metrics and settings that there are. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Command } from 'commander';
import { Registry } from 'prom-client';
import type { AgentContext } from '../../agent/context';
import { Lease } from '../../agent/lease';
import { MemoryBudget } from '../../agent/memory/budget';
import { UploadRate } from '../../agent/memory/uploadRate';
import { measured } from '../../agent/telemetry/metrics';
import { Telemetry } from '../../agent/telemetry/telemetry';
import { PARTS } from '../../cli/configuration/parts';
import { Meters } from '../../core/telemetry/meters';
import { noTracing } from '../../core/telemetry/tracing';
import { PROJECT_ROOT } from '../../native/paths';
import type { Command as AgentCommand, CommandResult } from '../../proto/gen/holdfast/v1/agent';
import { FakeCluster } from './coordinator/support/cluster';
import { probe, type Scraped, scrape } from './coordinator/support/scrape';

const text = (...path: string[]) => readFileSync(join(PROJECT_ROOT, ...path), 'utf8');

const lease = new Lease(() => {});
const context = {
  lease,
  trees: { all: () => [{}, {}] },
  lazyTrees: { status: () => [{ totalBytes: 100, residentBytes: 60 }] },
  memoryBudget: new MemoryBudget(256 << 20),
  uploadRate: new UploadRate(),
} as unknown as AgentContext;

let telemetry: Telemetry;
let agent: Scraped;
let coordinator: Scraped;

const answers: Partial<Record<string, CommandResult['body']>> = {
  capture: { $case: 'captured', value: { capturedBytes: 4096 } },
  release: { $case: 'released', value: { heldMs: 7 } },
};

beforeAll(async () => {
  telemetry = new Telemetry('n1', noTracing);
  await telemetry.watch(context, '0');
  const execute = telemetry.around(async ({ id, body }) => {
    const answer = answers[body?.$case ?? ''];
    const error = answer ? undefined : { code: 'CRIU_FAILED', message: '', remedy: '' };
    return { id, error, body: answer };
  });
  const scope = { id: 'c', job: 'j', generation: 1, epoch: 1, traceParent: '' };
  const bodies: AgentCommand['body'][] = [
    { $case: 'capture', value: {} },
    { $case: 'release', value: { kill: false } },
    { $case: 'upload', value: {} },
  ];
  for (const body of bodies) await execute({ ...scope, body }, () => {});
  telemetry.leaseLost();
  agent = await scrape(telemetry.address);
  const cluster = await FakeCluster.watched([], { metrics: '0' });
  coordinator = await scrape(cluster.coordinator?.metricsAddress);
  await cluster.stop();
});

afterAll(async () => {
  lease.close();
  await telemetry.close();
});

test('an agent measures its commands and its state', () => {
  expect(agent.value('holdfast_agent_command_seconds_count', { command: 'capture', outcome: 'ok' })).toBe(1);
  expect(agent.value('holdfast_agent_command_seconds_count', { outcome: 'CRIU_FAILED' })).toBe(1);
  expect(agent.value('holdfast_agent_hold_seconds_sum')).toBeCloseTo(0.007);
  expect(agent.value('holdfast_agent_captured_bytes_total')).toBe(4096);
  expect(agent.value('holdfast_agent_trees')).toBe(2);
  expect(agent.value('holdfast_agent_lazy_missing_bytes')).toBe(40);
  expect(agent.value('holdfast_agent_lease_losses_total')).toBe(1);
  expect(agent.value('holdfast_agent_memory_budget_bytes')).toBe(256 << 20);
  expect(agent.value('process_resident_memory_bytes')).toBeGreaterThan(1e6);
});

test('a command does not fail because its measurement does', async () => {
  const answer: CommandResult = {
    id: 'c',
    error: undefined,
    body: { $case: 'released', value: { heldMs: Number.NaN } },
  };
  const execute = measured(new Meters(new Registry()), async () => answer);
  const command: AgentCommand = {
    id: 'c',
    job: 'j',
    generation: 1,
    epoch: 1,
    traceParent: '',
    body: undefined,
  };
  expect(await execute(command, () => {})).toBe(answer);
});

test('an agent is ready while it has a lease', async () => {
  expect(await probe(telemetry.address, '/healthz')).toEqual([200, 'ok\n']);
  expect(await probe(telemetry.address, '/readyz')).toEqual([
    503,
    'no lease: the coordinator does not answer\n',
  ]);
  lease.renew(performance.now(), 60_000);
  expect(await probe(telemetry.address, '/readyz')).toEqual([200, 'ready\n']);
});

test('the dashboard names only metrics that there are, of the daemon that has them', () => {
  const { panels } = JSON.parse(text('deploy', 'grafana', 'holdfast.json')) as {
    panels: { title: string; targets?: { expr: string }[] }[];
  };
  const queries = panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr));
  expect(queries.length).toBeGreaterThan(20);
  for (const query of queries) {
    const selectors = [...query.matchAll(/\b((?:holdfast|process|nodejs)_[a-z0-9_]+)\{([^}]*)\}/g)];
    expect(selectors.length).toBeGreaterThan(0);
    for (const [, name = '', labels = ''] of selectors) {
      if (labels.includes('$coordinator')) expect([...coordinator.names]).toContain(name);
      if (labels.includes('$agent')) expect([...agent.names]).toContain(name);
      expect(labels).toMatch(/\$coordinator|\$agent/);
    }
  }
});

test('docs/observability.md has every metric with its type, and no other', () => {
  const page = text('docs', 'observability.md');
  const section = (title: string) => new RegExp(`^## ${title}\n([^]*?)(?=^## )`, 'm').exec(page)?.[1] ?? '';
  const rows = (title: string) =>
    [...section(title).matchAll(/^\| `(holdfast_[a-z_]+)` \| (\w+) \|/gm)].map(
      ([, name, type]) => `${name} ${type}`,
    );
  const own = ({ text: exposed }: Scraped) =>
    [...exposed.matchAll(/^# TYPE (holdfast_\S+) (\w+)$/gm)]
      .map(([, name, type]) => `${name} ${type}`)
      .sort();
  const both = rows('Metrics of both');
  expect([...rows('Metrics of the coordinator'), ...both].sort()).toEqual(own(coordinator));
  expect([...rows('Metrics of an agent'), ...both].sort()).toEqual(own(agent));
});

test.each(PARTS)(
  'docs/configuration.md has every setting of the $name, its variable and when it changes',
  (part) => {
    const program = new Command();
    part.addTo(program);
    const variable = (name: string) =>
      program.commands[0]?.options.find(({ long }) => long === `--${name}`)?.envVar;
    const page = text('docs', 'configuration.md');
    const section = new RegExp(`^## ${part.name}\n([^]*?)(?=^## )`, 'm').exec(page)?.[1] ?? '';
    const rows = [
      ...section.matchAll(/^\| `([a-z-]+)` \| (?:`([A-Z_]+)`|–) \| (SIGHUP|restart) \| .+ \|$/gm),
    ];
    expect(rows.map(([, name, env, when]) => [name, env, when])).toEqual(
      Object.keys(part.settings).map((name) => [
        name,
        variable(name),
        part.reloadable.includes(name) ? 'SIGHUP' : 'restart',
      ]),
    );
  },
);
