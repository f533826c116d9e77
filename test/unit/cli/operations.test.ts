/** `holdfast checkpoint`, `restart` and `rsh`. */

import { appendFileSync, readdirSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { HoldfastError } from '../../../core/errors';
import { JobState, OperationKind, type RestartRequest } from '../../../proto/gen/holdfast/v1/coordinator';
import { NodeFacts } from '../../../proto/gen/holdfast/v1/manifest';
import type { Event, Handlers } from './support/coordinator';
import { useCli } from './support/fixture';
import { committed, JOB_ID, job, manifest, node, OPERATION_ID, operation, summary } from './support/messages';

const cli = useCli();

/** An operation whose events are these, and that is asked for as it stands at the end of them. */
function operationEvents(events: readonly Event[], last = operation()): Handlers {
  return {
    checkpoint: () => ({ operation: OPERATION_ID }),
    getOperation: () => ({ operation: last }),
    watch: (subject, stream) => {
      if (subject?.$case !== 'operation') return;
      for (const event of events) stream.send(event);
    },
  };
}

const phases = (...names: string[]): Event[] =>
  names.map((phase) => ({ $case: 'operation', value: operation({ phase }) }));

describe('checkpoint', () => {
  test('waits for the commit, prints the id; phases on stderr', async () => {
    const asked: unknown[] = [];
    cli.coordinator.on({
      ...operationEvents([
        ...phases('PREPARE', 'CAPTURE', 'UPLOAD', 'UPLOAD'),
        {
          $case: 'progress',
          value: { operation: OPERATION_ID, node: 'n1', phase: 'UPLOAD', doneBytes: 1, totalBytes: 2 },
        },
        { $case: 'operation', value: committed() },
      ]),
      checkpoint: (request) => {
        asked.push([request.job, request.stop]);
        return { operation: OPERATION_ID };
      },
    });
    const result = await cli.run(['checkpoint', '--stop', JOB_ID]);
    expect(result).toMatchObject({ code: 0, stdout: '17\n' });
    expect(result.stderr.split('\n')).toEqual([
      'holdfast: checkpoint: prepare',
      'holdfast: checkpoint: capture',
      'holdfast: checkpoint: upload',
      'holdfast: checkpoint: done',
      expect.stringMatching(/^holdfast: checkpoint 17 .* held 85 ms, took 1.2 s$/),
      '',
    ]);
    expect(asked).toEqual([[JOB_ID, true]]);
  });

  test('--json is one document', async () => {
    cli.coordinator.on(operationEvents([{ $case: 'operation', value: committed() }]));
    const { stdout, stderr } = await cli.run(['checkpoint', JOB_ID, '--json']);
    expect(stderr).toBe('');
    expect(JSON.parse(stdout)).toEqual({
      operation: {
        id: OPERATION_ID,
        kind: 'CHECKPOINT',
        job: JOB_ID,
        ckptId: 17,
        generation: 3,
        epoch: 9,
        phase: 'DONE',
        error: null,
        findings: [],
        decisions: [],
        summary,
        trees: [],
        startedMs: 1_700_000_099_000,
        endedMs: 1_700_000_100_234,
      },
    });
  });

  test('an operation that ended before anybody watched is not waited for', async () => {
    cli.coordinator.on(operationEvents([], committed()));
    expect((await cli.run(['checkpoint', JOB_ID])).stdout).toBe('17\n');
  });

  test('what cannot be captured is listed, with the exit code of the reason', async () => {
    const error = {
      code: 'NOT_CAPTURABLE',
      message: 'one process of n1 cannot be captured',
      remedy: 'see above',
    };
    const findings = [
      { node: 'n1', pid: 12, fd: 7, object: 'uverbs0', problem: 'is RDMA', remedy: 'use TCP' },
    ];
    const aborted = operation({ phase: 'ABORTED', error, findings });
    cli.coordinator.on(operationEvents([{ $case: 'operation', value: aborted }]));
    const result = await cli.run(['checkpoint', JOB_ID]);
    expect(result).toMatchObject({ code: 5, stdout: '' });
    expect(result.stderr).toContain('holdfast: n1 pid 12 fd 7 uverbs0: is RDMA (use TCP)\n');
    expect(result.stderr).toMatch(/holdfast: NOT_CAPTURABLE: one process of n1 .*\n {2}remedy: see above\n$/);
    const json = await cli.run(['checkpoint', JOB_ID, '--json']);
    expect(JSON.parse(json.stdout).operation).toMatchObject({ phase: 'ABORTED', error, findings });
    expect(JSON.parse(json.stderr).error.code).toBe('NOT_CAPTURABLE');
  });

  describe('of a process', () => {
    const here = (name: string) => node({ name, facts: NodeFacts.fromPartial({ hostname: hostname() }) });

    function cluster(jobs: ReturnType<typeof job>[]) {
      const tracked: unknown[] = [];
      const checkpointed: string[] = [];
      cli.coordinator.on({
        ...operationEvents([{ $case: 'operation', value: committed() }]),
        listNodes: () => ({ nodes: [here('n1'), node({ name: 'n2' })] }),
        listJobs: () => ({ jobs, untracked: [] }),
        trackProcess: (request) => {
          tracked.push([request.node, request.pid]);
          return { job: job({ id: 'j-tracked', tracked: true }) };
        },
        checkpoint: (request) => {
          checkpointed.push(request.job);
          return { operation: OPERATION_ID };
        },
      });
      return { tracked, checkpointed };
    }

    const rootAt = (name: string, changes = {}) =>
      job({ trees: [{ treeId: 'main', node: name, rootPid: process.pid, main: true }], ...changes });

    test('becomes a job first', async () => {
      const { tracked, checkpointed } = cluster([]);
      expect((await cli.run(['checkpoint', String(process.pid)])).code).toBe(0);
      expect(tracked).toEqual([['n1', process.pid]]);
      expect(checkpointed).toEqual(['j-tracked']);
    });

    test('is not tracked again when it is the root of a job here', async () => {
      const { tracked, checkpointed } = cluster([rootAt('n1')]);
      expect((await cli.run(['checkpoint', String(process.pid)])).code).toBe(0);
      expect(tracked).toEqual([]);
      expect(checkpointed).toEqual([JOB_ID]);
    });

    test('is not taken for the same pid on another node, or of an ended job', async () => {
      const { checkpointed } = cluster([rootAt('n2'), rootAt('n1', { state: JobState.COMPLETED })]);
      expect((await cli.run(['checkpoint', String(process.pid)])).code).toBe(0);
      expect(checkpointed).toEqual(['j-tracked']);
    });

    test('must exist', async () => {
      const { checkpointed } = cluster([]);
      const result = await cli.run(['checkpoint', '4194999']);
      expect(result.code).toBe(3);
      expect(result.stderr).toMatch(/there is no process 4194999 on this node/);
      expect(checkpointed).toEqual([]);
    });
  });
});

describe('restart', () => {
  const runs = operation({
    kind: OperationKind.RESTART,
    phase: 'RUNNING',
    ckptId: 17,
    decisions: ['n1 → n3: n1 is lost'],
  });

  /** A checkpoint, and the job as it is after the restart. */
  function restartable(outputPath: string, recordedBytes: number, ends: { exitCode: number } | null) {
    const requests: RestartRequest[] = [];
    const whole = manifest(outputPath, recordedBytes);
    const current = job({ spec: { ...whole.header?.spec, outputPath } as never, incarnation: 2 });
    cli.coordinator.on({
      getCheckpoint: () => ({ manifest: whole, summary }),
      getJob: () => ({ job: current }),
      restart: (request) => {
        requests.push(request);
        return { operation: OPERATION_ID };
      },
      getOperation: () => ({ operation: runs }),
      watch: (subject, stream) => {
        if (subject?.$case === 'operation') stream.send({ $case: 'operation', value: runs });
        else if (ends) stream.send({ $case: 'job', value: { ...current, state: JobState.FAILED, ...ends } });
      },
    });
    return requests;
  }

  test('by checkpoint: follows the job from the recorded end of its output, to its exit code', async () => {
    const output = join(cli.cwd, 'job.out');
    writeFileSync(output, 'before\nafter\n');
    const requests = restartable(output, 'before\n'.length, { exitCode: 3 });
    const result = await cli.run(['restart', '17', '--nodes', 'n3,n4']);
    expect(result).toMatchObject({ code: 3, stdout: 'after\n' });
    expect(result.stderr).toContain('holdfast: n1 → n3: n1 is lost\n');
    expect(requests).toEqual([
      expect.objectContaining({
        source: { $case: 'ckptId', value: 17 },
        nodes: ['n3', 'n4'],
        outputPath: '',
      }),
    ]);
    expect(readdirSync(cli.cwd)).toEqual(['job.out']);
  });

  test('by job, with another output file', async () => {
    const requests = restartable('/elsewhere/out', 5, { exitCode: 0 });
    const running = cli.start(['restart', JOB_ID, '--output', 'new.out']);
    appendFileSync(join(cli.cwd, 'new.out'), '');
    expect((await running.result).code).toBe(0);
    expect(requests[0]).toMatchObject({
      source: { $case: 'job', value: JOB_ID },
      nodes: [],
      outputPath: join(cli.cwd, 'new.out'),
    });
  });

  test('a process that had no output file gets one here', async () => {
    const requests = restartable('', 0, null);
    const result = await cli.run(['restart', '17', '--detach']);
    expect(result).toMatchObject({ code: 0, stdout: `${JOB_ID}\n` });
    expect(requests[0]?.outputPath).toBe(join(cli.cwd, readdirSync(cli.cwd)[0] ?? ''));
    expect(requests[0]?.outputPath).toMatch(/\/holdfast-restart-17-\d{8}T\d{6}-\d+\.out$/);
  });

  test('--json: the operation, the restarted job, its end', async () => {
    restartable(join(cli.cwd, 'out'), 0, { exitCode: 1 });
    const result = await cli.run(['restart', '17', '--json']);
    const events = result.stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line).event)
      .filter((event) => event !== 'note');
    expect(events).toEqual(['operation', 'restarted', 'job', 'ended']);
    expect(result.code).toBe(1);
  });

  test('a restart that failed', async () => {
    const error = { code: 'NO_CAPABLE_NODE', message: 'no node has avx512', remedy: '' };
    cli.coordinator.on({
      getCheckpoint: () => ({ manifest: manifest('/x', 0), summary }),
      restart: () => ({ operation: OPERATION_ID }),
      ...operationEvents([{ $case: 'operation', value: operation({ phase: 'ABORTED', error }) }]),
    });
    const result = await cli.run(['restart', '17']);
    expect(result).toMatchObject({ code: 12, stdout: '' });
    expect(result.stderr).toMatch(/holdfast: NO_CAPABLE_NODE: no node has avx512\n$/);
  });
});

describe('rsh', () => {
  test('launches a member of the job and exits with its code', async () => {
    const requests: unknown[] = [];
    cli.coordinator.on({
      launchMember: (request) => {
        requests.push(request);
        return { exitCode: 42 };
      },
    });
    const words = ['rsh', '-x', '-o', 'A=b', 'n2', 'PATH=/x:$PATH', 'orted', '-mca', 'ess', '"env"'];
    const result = await cli.run(words, { HOLDFAST_JOB: JOB_ID, MARK: 'x' });
    expect(result).toEqual({ code: 42, signal: null, stdout: '', stderr: '' });
    expect(requests).toEqual([
      expect.objectContaining({
        job: JOB_ID,
        host: 'n2',
        argv: ['/bin/sh', '-c', 'PATH=/x:$PATH orted -mca ess "env"'],
        environment: expect.objectContaining({ MARK: 'x', HOLDFAST_JOB: JOB_ID }),
        workingDirectory: cli.cwd,
      }),
    ]);
  });

  test('outside of a job, for another user, and when the launch fails', async () => {
    cli.coordinator.on({
      launchMember: () => {
        throw new HoldfastError('NODE_UNAVAILABLE', 'node n2 is not up');
      },
    });
    expect((await cli.run(['rsh', 'n2', 'a'])).code).toBe(5);
    const env = { HOLDFAST_JOB: JOB_ID };
    expect((await cli.run(['rsh', '-l', 'somebody-else', 'n2', 'a'], env)).code).toBe(4);
    const failed = await cli.run(['rsh', 'n2', 'a', '--json'], env);
    expect(failed.code).toBe(8);
    expect(failed.stderr).toBe('holdfast: NODE_UNAVAILABLE: node n2 is not up\n');
  });
});
