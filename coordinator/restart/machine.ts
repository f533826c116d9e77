/**
 * A restart, from a finished plan on, as a pure function (docs/architecture.md, "A restart"). RESTORE to RESUME is the
 * barrier B3: a phase is left only when every node has answered it.
 */
import type { Machine, Transition } from '../operations/drive';
import type { Failure } from '../operations/failure';

export type NodePhase = 'KILL' | 'STAGE' | 'RESTORE' | 'RESUME' | 'ABORT';
export type Phase = NodePhase | 'RUNNING' | 'ABORTED';

export interface RestartState {
  readonly phase: Phase;
  /** Where the job will run. */
  readonly nodes: readonly string[];
  readonly waiting: readonly string[];
  readonly failure: Failure | null;
}

export type RestartEvent =
  | { type: 'answered'; phase: NodePhase; node: string }
  | { type: 'failed'; phase: NodePhase; node: string; failure: Failure }
  | { type: 'lost'; node: string; failure: Failure }
  | { type: 'abort'; failure: Failure }
  | { type: 'notEntered'; failure: Failure };

export type RestartEffect = { kind: 'send'; phase: NodePhase; nodes: readonly string[] };

type Next = Transition<RestartState, RestartEffect>;

const UNREACHABLE: ReadonlySet<string> = new Set(['NODE_LOST', 'NODE_UNAVAILABLE']);

const NEXT = { KILL: 'STAGE', STAGE: 'RESTORE', RESTORE: 'RESUME' } as const;

/** @param hosts live nodes that may still host a tree of the job, besides the new ones */
export function beginRestart(nodes: readonly string[], hosts: readonly string[]): Next {
  const waiting = [...new Set([...nodes, ...hosts])];
  return {
    state: { phase: 'KILL', nodes, waiting, failure: null },
    effects: [{ kind: 'send', phase: 'KILL', nodes: waiting }],
  };
}

/** An attempt that a coordinator found unfinished at its start: nobody knows what of it runs. */
export function abortFoundRestart(nodes: readonly string[], failure: Failure): Next {
  return abort({ phase: 'KILL', nodes, waiting: [], failure: null }, failure);
}

function stepRestart(state: RestartState, event: RestartEvent): Next {
  switch (state.phase) {
    case 'KILL':
    case 'STAGE':
    case 'RESTORE':
    case 'RESUME':
      return stepForward(state, state.phase, event);
    case 'ABORT':
      return stepAbort(state, event);
    case 'RUNNING':
      // It runs, but nobody would know of it after a crash.
      return event.type === 'notEntered' ? abort(state, event.failure) : stay(state);
    case 'ABORTED':
      // Over, but not written down.
      return event.type === 'notEntered' ? abort(state, state.failure ?? event.failure) : stay(state);
  }
}

function stepForward(state: RestartState, phase: Exclude<NodePhase, 'ABORT'>, event: RestartEvent): Next {
  switch (event.type) {
    case 'answered':
      return event.phase === phase ? answered(state, phase, event.node) : stay(state);
    case 'failed':
      return event.phase === phase ? nodeFailed(state, phase, event) : stay(state);
    case 'lost':
      return nodeFailed(state, phase, event);
    case 'abort':
    case 'notEntered':
      return abort(state, event.failure);
  }
}

/**
 * An old host that cannot be reached any more is no reason to stop: it kills its trees when it registers (E3). One that is there
 * and could not end them is: they would run beside the restored ones.
 */
function nodeFailed(
  state: RestartState,
  phase: Exclude<NodePhase, 'ABORT'>,
  { type, node, failure }: Extract<RestartEvent, { type: 'failed' | 'lost' }>,
): Next {
  if (state.nodes.includes(node)) return abort(state, failure);
  if (phase !== 'KILL') return stay(state);
  const isUnreachable = type === 'lost' || UNREACHABLE.has(failure.code);
  return isUnreachable ? answered(state, phase, node) : abort(state, failure);
}

function answered(state: RestartState, phase: Exclude<NodePhase, 'ABORT'>, node: string): Next {
  const waiting = state.waiting.filter((other) => other !== node);
  const now = { ...state, waiting };
  if (waiting.length > 0) return stay(now);
  if (phase === 'RESUME') return { state: { ...now, phase: 'RUNNING' }, effects: [] };
  const next = NEXT[phase];
  return {
    state: { ...now, phase: next, waiting: now.nodes },
    effects: [{ kind: 'send', phase: next, nodes: now.nodes }],
  };
}

function stepAbort(state: RestartState, event: RestartEvent): Next {
  const isAnswer = (event.type === 'answered' || event.type === 'failed') && event.phase === 'ABORT';
  if ((!isAnswer && event.type !== 'lost') || !state.waiting.includes(event.node)) return stay(state);
  const waiting = state.waiting.filter((node) => node !== event.node);
  const phase = waiting.length === 0 ? 'ABORTED' : 'ABORT';
  return { state: { ...state, phase, waiting }, effects: [] };
}

function abort(state: RestartState, failure: Failure): Next {
  const { nodes } = state;
  if (nodes.length === 0) return { state: { ...state, phase: 'ABORTED', waiting: [], failure }, effects: [] };
  return {
    state: { ...state, phase: 'ABORT', waiting: nodes, failure },
    effects: [{ kind: 'send', phase: 'ABORT', nodes }],
  };
}

function stay(state: RestartState): Next {
  return { state, effects: [] };
}

export const restartMachine: Machine<RestartState, RestartEvent, RestartEffect> = {
  step: stepRestart,
  isOver: ({ phase }) => phase === 'RUNNING' || phase === 'ABORTED',
  notEntered: (failure) => ({ type: 'notEntered', failure }),
};
