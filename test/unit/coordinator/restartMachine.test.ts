/** Every state of a restart on n1 and n2, with an old host n3, under every event. */
import type { Failure } from '../../../coordinator/operations/failure';
import {
  abortFoundRestart,
  beginRestart,
  type NodePhase,
  type RestartEvent,
  type RestartState,
  restartMachine,
} from '../../../coordinator/restart/machine';

const NODES = ['n1', 'n2'];
const failure: Failure = { code: 'CRIU_FAILED', message: 'no', remedy: '' };
const PHASES: NodePhase[] = ['KILL', 'STAGE', 'RESTORE', 'RESUME', 'ABORT'];

const EVENTS: RestartEvent[] = [
  ...[...NODES, 'n3'].flatMap((node) => [
    ...PHASES.flatMap((phase): RestartEvent[] => [
      { type: 'answered', phase, node },
      { type: 'failed', phase, node, failure },
    ]),
    { type: 'lost', node, failure } as const,
  ]),
  { type: 'abort', failure },
  { type: 'notEntered', failure },
];

function explore() {
  const states = new Map<string, RestartState>();
  const steps: { before: RestartState; event: RestartEvent; after: RestartState; sent: readonly string[] }[] =
    [];
  const queue = [beginRestart(NODES, ['n3', 'n1']).state, abortFoundRestart(NODES, failure).state];
  for (let before = queue.shift(); before !== undefined; before = queue.shift()) {
    if (states.has(JSON.stringify(before))) continue;
    states.set(JSON.stringify(before), before);
    for (const event of EVENTS) {
      const { state: after, effects } = restartMachine.step(before, event);
      steps.push({ before, event, after, sent: effects.flatMap(({ nodes }) => nodes) });
      queue.push(after);
    }
  }
  return { states, steps };
}

const { states, steps } = explore();
/** A last phase that could not be written down is not the last one. */
const isUnrecorded = ({ before, event }: (typeof steps)[number]) =>
  restartMachine.isOver(before) && event.type === 'notEntered';
const changes = steps.filter((step) => step.before.phase !== step.after.phase && !isUnrecorded(step));

test('phases follow the table of the architecture, and no other way', () => {
  const edges = new Set(changes.map(({ before, after }) => `${before.phase} → ${after.phase}`));
  expect([...edges].sort()).toEqual([
    'ABORT → ABORTED',
    'KILL → ABORT',
    'KILL → STAGE',
    'RESTORE → ABORT',
    'RESTORE → RESUME',
    'RESUME → ABORT',
    'RESUME → RUNNING',
    'STAGE → ABORT',
    'STAGE → RESTORE',
  ]);
});

test('KILL goes to old hosts and new nodes alike, each once', () => {
  expect(beginRestart(NODES, ['n3', 'n1']).effects).toEqual([
    { kind: 'send', phase: 'KILL', nodes: ['n1', 'n2', 'n3'] },
  ]);
});

test('a phase is left forward only when nobody is waited for (B3)', () => {
  for (const { before, event, after } of changes) {
    if (after.phase === 'ABORT' || before.phase === 'ABORT') continue;
    expect(before.waiting).toHaveLength(1);
    const isUnreachableHost = before.phase === 'KILL' && 'node' in event && event.node === 'n3';
    expect(event.type === 'answered' || isUnreachableHost).toBe(true);
  }
});

test('an old host that cannot be reached does not stop the restart', () => {
  const state: RestartState = { phase: 'KILL', nodes: NODES, waiting: ['n3'], failure: null };
  for (const event of [
    { type: 'lost', node: 'n3', failure },
    { type: 'failed', phase: 'KILL', node: 'n3', failure: { ...failure, code: 'NODE_UNAVAILABLE' } },
  ] as const) {
    expect(restartMachine.step(state, event).state.phase).toBe('STAGE');
  }
});

test('an old host that is there and could not end its trees stops it: they would run beside the new ones', () => {
  const state: RestartState = { phase: 'KILL', nodes: NODES, waiting: ['n3'], failure: null };
  const event = { type: 'failed', phase: 'KILL', node: 'n3', failure } as const;
  expect(restartMachine.step(state, event).state.phase).toBe('ABORT');
});

test('a lost new node aborts from every phase', () => {
  for (const state of states.values()) {
    if (restartMachine.isOver(state) || state.phase === 'ABORT') continue;
    expect(restartMachine.step(state, { type: 'lost', node: 'n1', failure })).toMatchObject({
      state: { phase: 'ABORT', waiting: NODES, failure },
      effects: [{ phase: 'ABORT', nodes: NODES }],
    });
  }
});

test('the end is the end', () => {
  for (const { before, after, sent } of steps.filter((step) => !isUnrecorded(step))) {
    if (!restartMachine.isOver(before)) continue;
    expect(after).toBe(before);
    expect(sent).toEqual([]);
  }
});

test('an end that could not be written down leads to ABORT: nobody would know what runs', () => {
  const unrecorded = steps.filter(isUnrecorded);
  expect(unrecorded.length).toBeGreaterThan(0);
  for (const { after, sent } of unrecorded) {
    expect(after.phase).toBe('ABORT');
    expect(sent).toEqual(NODES);
  }
});
