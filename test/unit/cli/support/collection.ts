/** What the coordinator decides about three jobs at a fixed time, by its own code. */
import type { Outcome } from '../../../../coordinator/retention/collect';
import { holdsOf } from '../../../../coordinator/retention/holds';
import { originOf } from '../../../../coordinator/retention/origin';
import { type Generation, planRetention } from '../../../../coordinator/retention/plan';
import { References } from '../../../../coordinator/retention/references';
import { reportOf } from '../../../../coordinator/retention/report';
import { planSweep } from '../../../../coordinator/retention/sweep';
import { KEEP_ALL } from '../../../../core/retention';
import { type JobCollection, JobState } from '../../../../proto/gen/holdfast/v1/coordinator';
import type { RetentionPolicy } from '../../../../proto/gen/holdfast/v1/manifest';
import { JOB_ID, job } from './messages';

const HOUR_MS = 3_600_000;
const MIB = 2 ** 20;
const NOW_MS = Date.UTC(2026, 10, 28, 12, 30);
const GRACE_MS = HOUR_MS;

export const POLICY: RetentionPolicy = { ...KEEP_ALL, keepLast: 2, keepDaily: 2, maxAgeMs: 240 * HOUR_MS };

const key = (generation: number, name: string) =>
  `jobs/${JOB_ID}/data/${generation}-${90 + generation}/n1/main/${name}`;

/** Each names what it wrote, and a part of what the one before it wrote. */
function generation(number: number, ageHours: number): Generation {
  const objects = new Map([
    [key(number, 'index'), 2048],
    [key(number, 'pack-00001'), 16 * MIB],
    [key(number, 'pack-00002'), 5 * MIB],
  ]);
  if (number > 1) objects.set(key(number - 1, 'pack-00001'), 16 * MIB);
  const createdMs = NOW_MS - ageHours * HOUR_MS;
  return { generation: number, epoch: 90 + number, ckptId: 10 + number, createdMs, objects };
}

const GENERATIONS = [
  generation(1, 300),
  generation(2, 260),
  generation(3, 30),
  generation(4, 3),
  generation(5, 2),
  generation(6, 1),
];

function outcome(): Outcome {
  const numbers = GENERATIONS.map(({ generation }) => generation);
  const holds = holdsOf({
    job: job({ state: JobState.RUNNING }),
    generations: numbers,
    pinned: new Set([2]),
    quarantined: new Set(),
    restarts: new Map(),
    exported: new Set(),
  });
  const decisions = planRetention({
    policy: POLICY,
    generations: GENERATIONS,
    holds,
    endedMs: null,
    nowMs: NOW_MS,
  });
  const references = new References(
    decisions.filter(({ kept }) => kept).map(({ generation }) => generation.objects),
  );
  const left = [key(7, 'pack-00001'), key(7, 'pack-00002')];
  const objects = [
    ...new Map([
      ...GENERATIONS.flatMap(({ objects }) => [...objects]),
      ...left.map((each): [string, number] => [each, MIB]),
    ]),
  ];
  const sweep = planSweep({
    objects: objects.map(([key, sizeBytes]) => ({ key, sizeBytes })),
    isNamed: (name) => references.has(name),
    attempts: [],
    marks: new Map(
      left.map((each) => [
        each,
        { sinceMs: NOW_MS - 2 * GRACE_MS, cause: originOf(each, { epochs: new Map(), newest: 6 }) },
      ]),
    ),
    causeOf: (name) =>
      originOf(name, { epochs: new Map(numbers.map((each) => [each, 90 + each])), newest: 6 }),
    nowMs: NOW_MS,
    graceMs: GRACE_MS,
  });
  const usage = {
    job: JOB_ID,
    uid: 1000,
    generations: 4,
    liveBytes: references.bytes,
    storedBytes: 128 * MIB,
    measuredMs: NOW_MS,
    account: '',
  };
  return { decided: { job: JOB_ID, decisions, vanished: [], sweep, damage: [], usage } };
}

export function collections(): JobCollection[] {
  const damaged = 'generation 2 cannot be read: manifests/j-000000000002/0000000002.json is not JSON';
  return [
    reportOf(JOB_ID, outcome(), GRACE_MS),
    reportOf(
      'j-000000000002',
      { decided: { job: '', decisions: [], vanished: [], sweep: null, damage: [damaged], usage: null } },
      GRACE_MS,
    ),
    reportOf('j-000000000003', { skipped: 'operation o-000000000001 is at UPLOAD' }, GRACE_MS),
  ];
}
