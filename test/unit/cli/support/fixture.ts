/** A built command line, a coordinator for it and a directory to work in, for the tests of one file. */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { buildCli } from './build';
import { type FakeCoordinator, startCoordinator } from './coordinator';
import { type Result, type Running, run, start } from './run';

export interface Fixture {
  readonly main: string;
  readonly coordinator: FakeCoordinator;
  /** New for every test. */
  readonly cwd: string;
  run(words: readonly string[], env?: Record<string, string>): Promise<Result>;
  start(words: readonly string[], env?: Record<string, string>): Running;
}

/** Registers the set-up and clean-up hooks; the fields can be used within tests. */
export function useCli(): Fixture {
  const state: { main?: string; coordinator?: FakeCoordinator; cwd?: string } = {};
  const need = <T>(value: T | undefined): T => {
    if (value === undefined) throw new Error('used outside of a test');
    return value;
  };
  beforeAll(async () => {
    state.main = buildCli();
    state.coordinator = await startCoordinator();
  });
  beforeEach(() => {
    state.cwd = mkdtempSync(join(tmpdir(), 'holdfast-cwd-'));
  });
  afterEach(() => rmSync(need(state.cwd), { recursive: true, force: true }));
  afterAll(() => {
    state.coordinator?.close();
    rmSync(dirname(dirname(need(state.main))), { recursive: true, force: true });
  });
  const options = (env: Record<string, string>) => ({
    cwd: need(state.cwd),
    env: { HOLDFAST_SOCKET: need(state.coordinator).socketPath, ...env },
  });
  return {
    get main() {
      return need(state.main);
    },
    get coordinator() {
      return need(state.coordinator);
    },
    get cwd() {
      return need(state.cwd);
    },
    run: (words, env = {}) => run(need(state.main), words, options(env)),
    start: (words, env = {}) => start(need(state.main), words, options(env)),
  };
}
