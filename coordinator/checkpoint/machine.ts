/**
 * A checkpoint as a pure function: state and event in, state and effects out (docs/architecture.md, "A checkpoint").
 * A phase is left only when every node has answered it; the first failure before COMMIT leads to ABORT on all.
 */
import type { Machine, Transition } from '../operations/drive';
import type { Failure } from '../operations/failure';

export type NodePhase = 'PREPARE' | 'CAPTURE' | 'RELEASE' | 'UPLOAD' | 'ABORT';
export type Phase = NodePhase | 'COMMIT' | 'DONE' | 'ABORTED';

export interface CheckpointState {
  readonly phase: Phase;
  readonly nodes: readonly string[];
  /** Nodes that have not answered the phase's command. */
  readonly waiting: readonly string[];
  /** A node's preflight found a blocker; the others may still report theirs. */
  readonly isBlocked: boolean;
  /** An attempt to write the manifest may have succeeded without our knowing it. */
  readonly isUncertain: boolean;
  /** Nodes that did not confirm Abort: they may go on writing for a while. */
  readonly unanswered: readonly string[];
  /** What led to ABORT. */
  readonly failure: Failure | null;
}

export type CheckpointEvent =
  | { type: 'answered'; phase: NodePhase; node: string; isBlocked?: boolean }
  | { type: 'failed'; phase: NodePhase; node: string; failure: Failure }
  /** A node's lease ended, whatever it was doing. */
  | { type: 'lost'; node: string; failure: Failure }
  /** ours, others': the manifest at the key. refused: this attempt wrote nothing. unknown: C3. */
  | { type: 'committed'; outcome: 'ours' | 'others' | 'refused' | 'unknown'; failure: Failure | null }
  | { type: 'abort'; failure: Failure }
  | { type: 'notEntered'; failure: Failure }
  | { type: 'discarded' };

export type CheckpointEffect =
  | { kind: 'send'; phase: NodePhase; nodes: readonly string[] }
  | { kind: 'commit'; isRetry: boolean }
  | { kind: 'discard' };

type Next = Transition<CheckpointState, CheckpointEffect>;

const NEXT = { PREPARE: 'CAPTURE', CAPTURE: 'RELEASE', RELEASE: 'UPLOAD' } as const;

const BLOCKED: Failure = {
  code: 'NOT_CAPTURABLE',
  message: 'the preflight found what cannot be captured',
  remedy: 'see the findings',
};

export function beginCheckpoint(nodes: readonly string[]): Next {
  const state: CheckpointState = {
    phase: 'PREPARE',
    nodes,
    waiting: nodes,
    isBlocked: false,
    isUncertain: false,
    unanswered: [],
    failure: null,
  };
  return { state, effects: [{ kind: 'send', phase: 'PREPARE', nodes }] };
}

/** An operation that a coordinator found at its start: resolved in COMMIT, aborted before it. */
export function resumeCheckpoint(phase: Phase, nodes: readonly string[], failure: Failure): Next {
  const { state } = beginCheckpoint(nodes);
  if (phase === 'COMMIT') {
    return {
      state: { ...state, phase, waiting: [], isUncertain: true },
      effects: [{ kind: 'commit', isRetry: false }],
    };
  }
  return abort(state, failure);
}

function stepCheckpoint(state: CheckpointState, event: CheckpointEvent): Next {
  switch (state.phase) {
    case 'PREPARE':
    case 'CAPTURE':
    case 'RELEASE':
    case 'UPLOAD':
      return stepForward(state, state.phase, event);
    case 'COMMIT':
      return stepCommit(state, event);
    case 'ABORT':
      return stepAbort(state, event);
    case 'DONE':
      // Committed, but not written down: the commit is asked for again, until the record says what it was.
      if (event.type !== 'notEntered') return stay(state);
      return {
        state: { ...state, phase: 'COMMIT', isUncertain: true },
        effects: [{ kind: 'commit', isRetry: true }],
      };
    case 'ABORTED':
      if (event.type !== 'notEntered') return stay(state);
      return { state: { ...state, phase: 'ABORT', waiting: [] }, effects: [{ kind: 'discard' }] };
  }
}

function stepForward(
  state: CheckpointState,
  phase: Exclude<NodePhase, 'ABORT'>,
  event: CheckpointEvent,
): Next {
  switch (event.type) {
    case 'answered':
      return event.phase === phase ? answered(state, phase, event) : stay(state);
    case 'failed':
      return event.phase === phase ? abort(state, event.failure) : stay(state);
    case 'lost':
      // What a node has uploaded is durable without it.
      return phase === 'UPLOAD' && !state.waiting.includes(event.node)
        ? stay(state)
        : abort(state, event.failure);
    case 'abort':
    case 'notEntered':
      return abort(state, event.failure);
    case 'committed':
    case 'discarded':
      return stay(state);
  }
}

function answered(
  state: CheckpointState,
  phase: Exclude<NodePhase, 'ABORT'>,
  event: { node: string; isBlocked?: boolean },
): Next {
  const waiting = state.waiting.filter((node) => node !== event.node);
  const isBlocked = state.isBlocked || event.isBlocked === true;
  const now = { ...state, waiting, isBlocked };
  if (waiting.length > 0) return stay(now);
  if (isBlocked) return abort(now, BLOCKED);
  if (phase === 'UPLOAD') {
    return { state: { ...now, phase: 'COMMIT' }, effects: [{ kind: 'commit', isRetry: false }] };
  }
  const next = NEXT[phase];
  return {
    state: { ...now, phase: next, waiting: now.nodes },
    effects: [{ kind: 'send', phase: next, nodes: now.nodes }],
  };
}

/** From here only the store decides: a request to abort cannot take back a manifest that may exist. */
function stepCommit(state: CheckpointState, event: CheckpointEvent): Next {
  // Not entered, nothing was tried; but an earlier coordinator may have (C3), and then it must be tried again.
  if (event.type === 'notEntered' && !state.isUncertain) return abort(state, event.failure);
  if (event.type !== 'committed') return stay(state);
  if (event.outcome === 'ours') return { state: { ...state, phase: 'DONE' }, effects: [] };
  const failure: Failure = event.failure ?? {
    code: 'ABORTED',
    message: 'the manifest was not written',
    remedy: '',
  };
  if (event.outcome === 'others') return abort(state, failure);
  // A refusal now says nothing about an earlier attempt whose reply was lost.
  if (event.outcome === 'refused' && !state.isUncertain) return abort(state, failure);
  return { state: { ...state, isUncertain: true }, effects: [{ kind: 'commit', isRetry: true }] };
}

function stepAbort(state: CheckpointState, event: CheckpointEvent): Next {
  if (event.type === 'discarded' && state.waiting.length === 0) {
    return { state: { ...state, phase: 'ABORTED' }, effects: [] };
  }
  // A node that fails to abort or is gone cannot be waited for: its lease ends its hold (F1).
  const isAnswer = (event.type === 'answered' || event.type === 'failed') && event.phase === 'ABORT';
  if ((!isAnswer && event.type !== 'lost') || !state.waiting.includes(event.node)) return stay(state);
  const waiting = state.waiting.filter((node) => node !== event.node);
  const unanswered = event.type === 'answered' ? state.unanswered : [...state.unanswered, event.node];
  return {
    state: { ...state, waiting, unanswered },
    effects: waiting.length === 0 ? [{ kind: 'discard' }] : [],
  };
}

function abort(state: CheckpointState, failure: Failure): Next {
  const { nodes } = state;
  const effects: CheckpointEffect[] =
    nodes.length > 0 ? [{ kind: 'send', phase: 'ABORT', nodes }] : [{ kind: 'discard' }];
  return { state: { ...state, phase: 'ABORT', waiting: nodes, unanswered: [], failure }, effects };
}

function stay(state: CheckpointState): Next {
  return { state, effects: [] };
}

export const checkpointMachine: Machine<CheckpointState, CheckpointEvent, CheckpointEffect> = {
  step: stepCheckpoint,
  isOver: ({ phase }) => phase === 'DONE' || phase === 'ABORTED',
  notEntered: (failure) => ({ type: 'notEntered', failure }),
};
