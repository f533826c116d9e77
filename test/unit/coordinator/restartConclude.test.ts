/** The end of a failed restart, when Redis does not take it at once. */
import type { Context } from '../../../coordinator/context';
import { RunningOperations } from '../../../coordinator/operations/running';
import type { RestartRequest } from '../../../coordinator/restart/prepare';
import { RestartRunner } from '../../../coordinator/restart/runner';
import { Signal } from '../../../coordinator/signal';
import type { OperationRecord } from '../../../coordinator/state/operations';
import { CheckpointSummary, Job, JobState, Operation } from '../../../proto/gen/holdfast/v1/coordinator';
import { RestartPolicy } from '../../../proto/gen/holdfast/v1/manifest';
import { MemoryStore } from '../../contract/memoryStore';
import { memoryContext } from './retention/memoryContext';
import { MemoryRedis } from './retention/memoryRedis';
import { ManualClock } from './support/manualClock';

const JOB = 'j-abcdefghjkmn';

test('an end that could not be stored is entered again, and has its consequences once', async () => {
  const context = await memoryContext(new MemoryRedis().client(), new MemoryStore(), new ManualClock(), 0);
  const { catalog, jobs } = context;
  const spec = { restartPolicy: RestartPolicy.ANY_NODES };
  await jobs.put(Job.fromPartial({ id: JOB, spec, state: JobState.RESTARTING, lastGeneration: 3 }));
  for (const generation of [2, 3])
    await catalog.add(CheckpointSummary.fromPartial({ ckptId: generation, job: JOB, generation }));
  const queued: OperationRecord[] = [];
  let refused = 0;
  const operations = {
    openOf: () => [],
    put: async (record: OperationRecord) => {
      if (record.operation.phase === 'QUEUED') queued.push(record);
      if (record.operation.phase === 'ABORTED' && refused++ === 0) throw new Error('Redis is away');
      return record;
    },
  };
  const parts = {
    ...{ ...context, operations, running: new RunningOperations() },
    fleet: { lost: new Signal<string>(), command: async () => ({}) },
    decisions: { note: () => undefined },
    queues: { add: async () => undefined },
    leads: () => true,
  } as unknown as Context;
  const request: RestartRequest = {
    ...{ kind: 'restart', ckptId: null, nodes: [], outputPath: '', lazy: false, automatic: true },
    ...{ drains: false, notBeforeMs: 0, deadlineMs: null },
  };
  const operation = Operation.fromPartial({ id: 'o-1', job: JOB, generation: 3, epoch: 9, phase: 'RESTORE' });
  const record = { operation, request, nodes: ['n1'], manifest: null, hasReleased: false };
  const runner = new RestartRunner(parts, record, request);
  const failure = { code: 'CRIU_FAILED', message: 'criu said no', remedy: '' } as const;
  expect(await runner.resume(failure)).toMatchObject({ operation: { phase: 'ABORTED' } });
  expect(refused).toBe(2);
  expect(await catalog.list(JOB)).toMatchObject([
    { failedRestarts: 0 },
    { failedRestarts: 1, quarantine: '' },
  ]);
  expect(queued).toHaveLength(1);
});
