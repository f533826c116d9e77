/** Every state of a two-node checkpoint that can be reached, under every event. */
import {
  beginCheckpoint,
  type CheckpointEffect,
  type CheckpointEvent,
  type CheckpointState,
  checkpointMachine,
  type NodePhase,
  resumeCheckpoint,
} from '../../../coordinator/checkpoint/machine';
import type { Failure } from '../../../coordinator/operations/failure';

const NODES = ['n1', 'n2'];
const failure: Failure = { code: 'CRIU_FAILED', message: 'no', remedy: '' };
const NODE_PHASES: NodePhase[] = ['PREPARE', 'CAPTURE', 'RELEASE', 'UPLOAD', 'ABORT'];

const EVENTS: CheckpointEvent[] = [
  ...NODES.flatMap((node) => [
    ...NODE_PHASES.flatMap((phase): CheckpointEvent[] => [
      { type: 'answered', phase, node },
      { type: 'answered', phase, node, isBlocked: true },
      { type: 'failed', phase, node, failure },
    ]),
    { type: 'lost', node, failure } as const,
  ]),
  ...(['ours', 'others', 'refused', 'unknown'] as const).map(
    (outcome): CheckpointEvent => ({ type: 'committed', outcome, failure }),
  ),
  { type: 'abort', failure },
  { type: 'notEntered', failure },
  { type: 'discarded' },
];

interface Step {
  before: CheckpointState;
  event: CheckpointEvent;
  after: CheckpointState;
  effects: readonly CheckpointEffect[];
}

/** Breadth first from the beginning, and from what a start may find. */
function explore(): { states: Map<string, CheckpointState>; steps: Step[] } {
  const states = new Map<string, CheckpointState>();
  const steps: Step[] = [];
  const queue = [
    beginCheckpoint(NODES).state,
    resumeCheckpoint('COMMIT', NODES, failure).state,
    resumeCheckpoint('CAPTURE', NODES, failure).state,
  ];
  for (let before = queue.shift(); before !== undefined; before = queue.shift()) {
    const key = JSON.stringify(before);
    if (states.has(key)) continue;
    states.set(key, before);
    for (const event of EVENTS) {
      const { state: after, effects } = checkpointMachine.step(before, event);
      steps.push({ before, event, after, effects });
      queue.push(after);
    }
  }
  return { states, steps };
}

const { states, steps } = explore();
/** A last phase that could not be written down is not the last one. */
const isUnrecorded = ({ before, event }: (typeof steps)[number]) =>
  checkpointMachine.isOver(before) && event.type === 'notEntered';
const changes = steps.filter((step) => step.before.phase !== step.after.phase && !isUnrecorded(step));

test('phases follow the table of the architecture, and no other way', () => {
  const edges = new Set(changes.map(({ before, after }) => `${before.phase} → ${after.phase}`));
  expect([...edges].sort()).toEqual([
    'ABORT → ABORTED',
    'CAPTURE → ABORT',
    'CAPTURE → RELEASE',
    'COMMIT → ABORT',
    'COMMIT → DONE',
    'PREPARE → ABORT',
    'PREPARE → CAPTURE',
    'RELEASE → ABORT',
    'RELEASE → UPLOAD',
    'UPLOAD → ABORT',
    'UPLOAD → COMMIT',
  ]);
});

test('a phase is left forward only by the last answer to it (B1, F4)', () => {
  for (const { before, event, after } of changes) {
    if (after.phase === 'ABORT' || before.phase === 'COMMIT' || before.phase === 'ABORT') continue;
    expect(event).toMatchObject({ type: 'answered', phase: before.phase });
    expect(before.waiting).toHaveLength(1);
    expect(before.isBlocked).toBe(false);
  }
});

test('entering a phase sends its command to every node, once', () => {
  const sends = steps.flatMap(({ before, after, effects }) =>
    effects.flatMap((effect) => (effect.kind === 'send' ? [{ before, after, effect }] : [])),
  );
  for (const { before, after, effect } of sends) {
    expect(before.phase).not.toBe(after.phase);
    expect(effect).toEqual({ kind: 'send', phase: after.phase, nodes: NODES });
    expect(after.waiting).toEqual(NODES);
  }
  expect(sends.length).toBeGreaterThan(0);
});

test.each(['PREPARE', 'CAPTURE', 'RELEASE', 'UPLOAD'])(
  'from %s a request and a failure lead to ABORT',
  (phase) => {
    const here = [...states.values()].filter((state) => state.phase === phase);
    expect(here.length).toBeGreaterThan(0);
    for (const state of here) {
      const events: CheckpointEvent[] = [
        { type: 'abort', failure },
        { type: 'notEntered', failure },
        ...state.waiting.map((node): CheckpointEvent => ({ type: 'lost', node, failure })),
        { type: 'failed', phase: phase as NodePhase, node: 'n1', failure },
      ];
      for (const event of events) {
        expect(checkpointMachine.step(state, event).state).toMatchObject({ phase: 'ABORT', failure });
      }
    }
  },
);

test('a node that has uploaded may be lost', () => {
  const state = { ...beginCheckpoint(NODES).state, phase: 'UPLOAD', waiting: ['n2'] } as const;
  expect(checkpointMachine.step(state, { type: 'lost', node: 'n1', failure }).state).toBe(state);
});

test('only our own manifest makes it DONE, and only COMMIT', () => {
  for (const { before, event } of changes.filter(({ after }) => after.phase === 'DONE')) {
    expect(before.phase).toBe('COMMIT');
    expect(event).toMatchObject({ type: 'committed', outcome: 'ours' });
  }
});

test('after a commit of unknown outcome nothing is discarded, except when the manifest is another one (C3)', () => {
  const uncertain = steps.filter(({ before }) => before.phase === 'COMMIT' && before.isUncertain);
  expect(uncertain.length).toBeGreaterThan(0);
  for (const { event, after } of uncertain) {
    if (after.phase !== 'ABORT') continue;
    expect(event).toMatchObject({ type: 'committed', outcome: 'others' });
  }
});

test('ABORTED only when every node has answered, and what was written is gone', () => {
  for (const { before, event } of changes.filter(({ after }) => after.phase === 'ABORTED')) {
    expect(before.waiting).toEqual([]);
    expect(event.type).toBe('discarded');
  }
  for (const { after, effects } of steps) {
    if (effects.some(({ kind }) => kind === 'discard'))
      expect(after).toMatchObject({ phase: 'ABORT', waiting: [] });
  }
});

test('who has not confirmed the abort is remembered, and nobody else', () => {
  const { state } = checkpointMachine.step(beginCheckpoint(NODES).state, { type: 'abort', failure });
  const first = checkpointMachine.step(state, { type: 'failed', phase: 'ABORT', node: 'n1', failure });
  expect(first.state.unanswered).toEqual(['n1']);
  const confirmed = checkpointMachine.step(first.state, { type: 'answered', phase: 'ABORT', node: 'n2' });
  expect(confirmed.state.unanswered).toEqual(['n1']);
  const lost = checkpointMachine.step(first.state, { type: 'lost', node: 'n2', failure });
  expect(lost.state.unanswered).toEqual(['n1', 'n2']);
});

test('the end is the end', () => {
  for (const { before, after, effects } of steps.filter((step) => !isUnrecorded(step))) {
    if (!checkpointMachine.isOver(before)) continue;
    expect(after).toBe(before);
    expect(effects).toEqual([]);
  }
});

test('an end that could not be written down is come to again: a commit is not taken back', () => {
  for (const { before, after, effects } of steps.filter(isUnrecorded)) {
    if (before.phase === 'DONE') {
      expect(after).toMatchObject({ phase: 'COMMIT', isUncertain: true });
      expect(effects).toEqual([{ kind: 'commit', isRetry: true }]);
    } else {
      expect(after).toMatchObject({ phase: 'ABORT', waiting: [] });
      expect(effects).toEqual([{ kind: 'discard' }]);
    }
  }
});

test('from every state the end can be reached', () => {
  const leads = new Map<string, Set<string>>();
  for (const { before, after } of steps) {
    const to = JSON.stringify(after);
    leads.set(to, (leads.get(to) ?? new Set()).add(JSON.stringify(before)));
  }
  const reached = new Set(
    [...states].filter(([, state]) => checkpointMachine.isOver(state)).map(([key]) => key),
  );
  const queue = [...reached];
  for (let key = queue.shift(); key !== undefined; key = queue.shift()) {
    for (const from of leads.get(key) ?? []) {
      if (!reached.has(from)) queue.push(from);
      reached.add(from);
    }
  }
  expect(reached.size).toBe(states.size);
});

test('all findings are awaited before a blocker aborts', () => {
  const { state } = beginCheckpoint(NODES);
  const first = checkpointMachine.step(state, {
    type: 'answered',
    phase: 'PREPARE',
    node: 'n1',
    isBlocked: true,
  });
  expect(first.state).toMatchObject({ phase: 'PREPARE', waiting: ['n2'] });
  const second = checkpointMachine.step(first.state, { type: 'answered', phase: 'PREPARE', node: 'n2' });
  expect(second.state).toMatchObject({ phase: 'ABORT', failure: { code: 'NOT_CAPTURABLE' } });
});
