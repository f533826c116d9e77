/** Runs a pure state machine: make each phase durable, then perform its effects, then take the next event. */
import type { Failure } from './failure';
import type { Mailbox } from './mailbox';

export interface Transition<State, Effect> {
  readonly state: State;
  readonly effects: readonly Effect[];
}

export interface Machine<State extends { phase: string }, Event, Effect> {
  readonly step: (state: State, event: Event) => Transition<State, Effect>;
  readonly isOver: (state: State) => boolean;
  /** The event that says: the phase could not be entered, so none of its effects was performed. */
  readonly notEntered: (failure: Failure) => Event;
}

export interface Effects<State, Effect> {
  /** Makes a new phase durable, before any of its effects. A failure is returned, not thrown. */
  readonly enter: (state: State) => Promise<Failure | null>;
  /** Starts an effect; what comes of it is posted to the mailbox. Does not throw. */
  readonly perform: (effect: Effect, state: State) => void;
  /** false: this coordinator does not lead any more, and must do nothing more of it (A1). */
  readonly leads: () => boolean;
}

/** What has no end: whoever waits for it is forgotten together with it. */
const NEVER = new Promise<never>(() => {});

/** @param start a state whose phase has not been entered yet, and its effects */
export async function drive<State extends { phase: string }, Event, Effect>(
  machine: Machine<State, Event, Effect>,
  start: Transition<State, Effect>,
  mailbox: Mailbox<Event>,
  { enter, perform, leads }: Effects<State, Effect>,
): Promise<State> {
  let { state, effects } = start;
  let hasEntered = false;
  for (;;) {
    if (!leads()) await NEVER;
    if (!hasEntered) {
      const failure = await enter(state);
      if (!leads()) await NEVER;
      if (failure !== null) {
        const refused = machine.step(state, machine.notEntered(failure));
        // A phase that must go on regardless stays; another one is entered in its place.
        if (refused.state.phase !== state.phase) {
          ({ state, effects } = refused);
          continue;
        }
      }
    }
    for (const effect of effects) perform(effect, state);
    if (machine.isOver(state)) return state;
    const { phase } = state;
    ({ state, effects } = machine.step(state, await mailbox.next()));
    hasEntered = state.phase === phase;
  }
}
