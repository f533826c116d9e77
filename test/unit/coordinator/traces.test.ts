/** One checkpoint is one trace, through the coordinator and the agents; its log lines say what they are about. */
import { EventEmitter, once } from 'node:events';
import { InMemorySpanExporter, type ReadableSpan, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-base';
import { logged, traced } from '../../../agent/telemetry/execute';
import { HoldfastError } from '../../../core/errors';
import { openLog } from '../../../core/log';
import { isTraced, tracingWith } from '../../../core/telemetry/tracing';
import { withObservers } from '../../../store/observed';
import { storeSpans } from '../../../store/spans';
import { FakeCluster, type User } from './support/cluster';

let exporter = new InMemorySpanExporter();
const traces = (service: string, instance: string) =>
  tracingWith(service, instance, new SimpleSpanProcessor(exporter));

const lines: Record<string, unknown>[] = [];
const written = new EventEmitter();
const logSink = {
  write: (text: string) => {
    const line = JSON.parse(text);
    lines.push(line);
    written.emit(line.msg);
  },
};

let cluster: FakeCluster;
let user: User;
let job: string;

beforeEach(async () => {
  // The end of a cluster ends its exporter.
  exporter = new InMemorySpanExporter();
  const tracing = traces('holdfast-coordinator', 'head');
  cluster = await FakeCluster.watched(['n1', 'n2'], { logLevel: 'debug' }, { tracing, logSink });
  for (const [node, agent] of cluster.agents) {
    const { tracer } = traces('holdfast-agent', node);
    const log = openLog('agent', 'debug', logSink).child({ node });
    const store = withObservers(cluster.store, [storeSpans(tracer)]);
    agent.overrides.set('upload', async (command) => {
      await store.put(`test/${node}`, Buffer.from('pages'));
      log.info('something deep inside');
      return agent.perform(command);
    });
    agent.around = (execute) => traced(tracer, node, logged(execute));
  }
  user = cluster.user();
  job = (await user.submit({ nodes: ['n1'] })).id;
  await user.member(job, 'n2');
  exporter.reset();
  lines.length = 0;
});

afterEach(() => cluster.stop());

const service = (span: ReadableSpan) => span.resource.attributes['service.name'];
const spanId = (span: ReadableSpan | undefined) => span?.spanContext().spanId;

function find(name: string, of: string, node?: string): ReadableSpan {
  const isIt = (span: ReadableSpan) =>
    span.name === name &&
    service(span) === of &&
    (node === undefined || span.attributes['holdfast.node'] === node);
  const span = exporter.getFinishedSpans().find(isIt);
  if (span === undefined) throw new Error(`no span ${name} of ${of}`);
  return span;
}

/** The spans above one, nearest first. */
function above(span: ReadableSpan): string[] {
  const parent = exporter
    .getFinishedSpans()
    .find((other) => spanId(other) === span.parentSpanContext?.spanId);
  return parent === undefined ? [] : [parent.name, ...above(parent)];
}

test('one trace holds the spans of the coordinator and of all agents, each below what it belongs to', async () => {
  const operation = await user.checkpoint(job);
  const spans = exporter.getFinishedSpans();
  const root = find('checkpoint', 'holdfast-coordinator');
  expect(root.parentSpanContext).toBeUndefined();
  expect(new Set(spans.map((span) => span.spanContext().traceId)).size).toBe(1);
  expect(root.attributes).toMatchObject({
    'holdfast.job': job,
    'holdfast.operation': operation.id,
    'holdfast.generation': 1,
    'holdfast.epoch': operation.epoch,
    'holdfast.hold_ms': 7,
  });
  for (const phase of ['QUEUED', 'PREPARE', 'CAPTURE', 'RELEASE', 'UPLOAD', 'COMMIT']) {
    expect(above(find(phase, 'holdfast-coordinator'))).toEqual(['checkpoint']);
  }
  for (const node of ['n1', 'n2']) {
    expect(above(find('capture', 'holdfast-agent', node))).toEqual([
      `capture ${node}`,
      'CAPTURE',
      'checkpoint',
    ]);
    expect(find('upload', 'holdfast-agent', node).attributes).toMatchObject({
      'holdfast.job': job,
      'holdfast.generation': 1,
      'holdfast.epoch': operation.epoch,
    });
  }
  const put = find('store put', 'holdfast-agent');
  expect(above(put).slice(0, 1)).toEqual(['upload']);
  expect(put.attributes).toMatchObject({ 'holdfast.store.bytes': 5 });
});

test('a failure is on the span of the agent, of the command and of the operation', async () => {
  cluster.agent('n2').overrides.set('capture', () => {
    throw new HoldfastError('CRIU_FAILED', 'cannot dump');
  });
  await user.checkpoint(job);
  const failed = [
    find('capture', 'holdfast-agent', 'n2'),
    find('capture n2', 'holdfast-coordinator'),
    find('checkpoint', 'holdfast-coordinator'),
  ];
  expect(failed.map(({ status }) => status.message)).toEqual(['CRIU_FAILED', 'CRIU_FAILED', 'CRIU_FAILED']);
  expect(above(find('abort', 'holdfast-agent', 'n1'))).toEqual(['abort n1', 'ABORT', 'checkpoint']);
});

test('a restart is one trace, too', async () => {
  await user.checkpoint(job);
  exporter.reset();
  expect(await user.restart(job)).toMatchObject({ phase: 'RUNNING' });
  const spans = exporter.getFinishedSpans();
  expect(new Set(spans.map((span) => span.spanContext().traceId)).size).toBe(1);
  expect(above(find('PLAN', 'holdfast-coordinator'))).toEqual(['restart']);
  for (const [name, phase] of [
    ['kill', 'KILL'],
    ['stage', 'STAGE'],
    ['restore', 'RESTORE'],
    ['resume', 'RESUME'],
  ] as const) {
    expect(above(find(name, 'holdfast-agent', 'n2'))).toEqual([`${name} n2`, phase, 'restart']);
  }
});

test('every line of the log of an operation has its job, generation and epoch', async () => {
  const isDone = once(written, 'checkpoint DONE');
  const { epoch } = await user.checkpoint(job);
  await isDone;
  const scope = { job, generation: 1, epoch };
  const phases = lines.filter(({ msg }) => String(msg).startsWith('checkpoint '));
  expect(phases.map(({ msg }) => msg)).toEqual(
    ['PREPARE', 'CAPTURE', 'RELEASE', 'UPLOAD', 'COMMIT', 'DONE'].map((phase) => `checkpoint ${phase}`),
  );
  for (const line of phases) expect(line).toMatchObject({ ...scope, part: 'coordinator' });
  const deep = lines.filter(({ msg }) => msg === 'something deep inside');
  expect(deep).toHaveLength(2);
  const { traceId } = find('checkpoint', 'holdfast-coordinator').spanContext();
  for (const line of deep)
    expect(line).toMatchObject({ ...scope, part: 'agent', command: 'upload', traceId });
  expect(lines.filter((line) => line.job === undefined)).toEqual([]);
});

test('traces are sent only where the standard variables name a collector', () => {
  const endpoint = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://collector:4318' };
  expect(isTraced({})).toBe(false);
  expect(isTraced(endpoint)).toBe(true);
  expect(isTraced({ ...endpoint, OTEL_SDK_DISABLED: 'true' })).toBe(false);
});
