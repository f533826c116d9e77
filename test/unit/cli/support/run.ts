/** Runs the command line as a child process. */

import { type ChildProcess, spawn } from 'node:child_process';

export interface Result {
  /** 128 + signal when a signal ended it. */
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Running {
  readonly child: ChildProcess;
  readonly result: Promise<Result>;
  /** Resolves once the text was written to the stream; rejects when the process ends without it. */
  seen(stream: 'stdout' | 'stderr', text: string): Promise<void>;
}

export interface RunOptions {
  readonly cwd?: string;
  readonly env?: Record<string, string>;
}

const BASE_ENV = { PATH: process.env.PATH ?? '', HOME: '/nonexistent', NO_COLOR: '1', TERM: 'dumb' };

export function start(main: string, words: readonly string[], options: RunOptions = {}): Running {
  const child = spawn(process.execPath, [main, ...words], {
    cwd: options.cwd,
    env: { ...BASE_ENV, ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const text = { stdout: '', stderr: '' };
  for (const stream of ['stdout', 'stderr'] as const) {
    child[stream].setEncoding('utf8').on('data', (chunk: string) => {
      text[stream] += chunk;
      child.emit('holdfast-output');
    });
  }
  const result = new Promise<Result>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => resolve({ code, signal, ...text }));
  });
  const seen = (stream: 'stdout' | 'stderr', wanted: string) =>
    new Promise<void>((resolve, reject) => {
      const look = () => {
        if (text[stream].includes(wanted)) resolve();
      };
      child.on('holdfast-output', look);
      child.once('close', () => reject(new Error(`no "${wanted}" in ${stream}: ${JSON.stringify(text)}`)));
      look();
    });
  return { child, result, seen };
}

export function run(main: string, words: readonly string[], options: RunOptions = {}): Promise<Result> {
  return start(main, words, options).result;
}
