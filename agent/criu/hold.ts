/**
 * One CRIU run under its watchdog (holdfast-hold, docs/native-programs.md). The gate passes only by pass();
 * when this process or its lease dies, the watchdog fails the gate by itself (invariants F1, F2).
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { HoldfastError } from '../../core/errors';
import type { FileOwner } from '../files/shared';
import { type ProcessStat, processStat } from '../proc/stat';
import { likeSeat, type Seat } from '../seats/seats';
import { nativeProgram } from './program';
import { endWatchdog } from './watchdog';

export interface HoldOptions {
  /** Directory for the gate's socket and CRIU's output. */
  readonly directory: string;
  /** A process whose pid and mount namespaces CRIU runs in; null: our own. */
  readonly enterPid: number | null;
  /** Control group (v2) that CRIU runs in, and what it restores; absent or null: ours. */
  readonly group?: string | null;
  /** Whose control groups (others than `group`) it runs in; absent or null: ours. */
  readonly seat?: Seat | null;
  readonly gate: 'post-dump' | 'pre-resume';
  readonly leaseMs: number;
  readonly limits?: Partial<HoldLimits>;
  readonly environment: NodeJS.ProcessEnv;
  readonly command: readonly string[];
  /** Files that CRIU finds open: descriptor number -> path, opened where CRIU runs. */
  readonly inherit?: ReadonlyMap<number, string>;
  /** Whose rights open these files. */
  readonly inheritAs?: FileOwner;
  /** Text to add to the error when CRIU failed: its own reason. */
  readonly explain: () => string;
}

/** Who takes longer hangs, and is ended: as long as the lease is renewed, nothing else would thaw the tree (F1). */
export interface HoldLimits {
  /** CRIU, from its start to the gate; null: as long as it takes. */
  readonly gateMs: number | null;
  /** CRIU, from the open gate to its end. */
  readonly passMs: number;
  /** CRIU, from the gate that has failed to its end. */
  readonly graceMs: number;
  /** The watchdog, after that. */
  readonly watchdogMs: number;
}

const LIMITS: HoldLimits = { gateMs: null, passMs: 60_000, graceMs: 10_000, watchdogMs: 5_000 };

interface ExitEvent {
  readonly event: 'exit';
  readonly code: number | null;
  readonly signal: number | null;
  readonly outcome: string;
  readonly held_ms: number;
}
type HoldEvent =
  | { event: 'started'; pid: number }
  | { event: 'gate'; action: string; init_pid: number }
  | ExitEvent;

export class Hold {
  private readonly child: ChildProcess;
  private gateReached!: () => void;
  private gateFailed!: (error: unknown) => void;
  private ended!: (exit: ExitEvent) => void;
  private exitEvent: ExitEvent | null = null;
  private failReason = '';
  /** What took too long; empty: nothing. */
  private late = '';
  private readonly limits: HoldLimits;
  private readonly gateTimer: NodeJS.Timeout | null;
  private endTimer: NodeJS.Timeout | null = null;
  private criu: ProcessStat[] = [];
  /** Of a watchdog that hung or was killed: over when CRIU is gone, too. */
  private forcedEnd: Promise<void> | null = null;
  /** Resolves when CRIU stands at the gate: everything is frozen, or everything is restored. */
  readonly atGate: Promise<void>;
  private readonly exit: Promise<ExitEvent>;

  constructor(private readonly options: HoldOptions) {
    this.limits = { ...LIMITS, ...options.limits };
    this.atGate = new Promise((resolve, reject) => {
      this.gateReached = resolve;
      this.gateFailed = reject;
    });
    this.atGate.catch(() => {}); // a hold may be abandoned before anybody waits for its gate
    this.exit = new Promise((resolve) => {
      this.ended = resolve;
    });
    const program = nativeProgram('holdfast-hold');
    const enter = options.enterPid === null ? [] : ['--enter', String(options.enterPid)];
    const group = options.group ? ['--cgroup', options.group] : [];
    const inherit = [...(options.inherit ?? [])].flatMap(([fd, path]) => ['--inherit', `${fd}:${path}`]);
    if (inherit.length > 0 && options.inheritAs) {
      const { uid, gid, groups } = options.inheritAs;
      inherit.push('--inherit-as', `${uid}:${gid}:${groups.join(',')}`);
    }
    this.child = spawn(
      program,
      [
        ...[
          '--dir',
          options.directory,
          ...enter,
          ...likeSeat(options.seat ?? null),
          ...group,
          ...inherit,
          '--gate',
          options.gate,
        ],
        ...['--lease-ms', String(options.leaseMs), '--grace-ms', String(this.limits.graceMs), '--'],
        ...options.command,
      ],
      // A session of its own: a signal to the agent's group must not reach the watchdog.
      { stdio: ['pipe', 'pipe', 'inherit'], detached: true, env: options.environment },
    );
    this.child.stdin?.on('error', () => {}); // the exit event tells more
    if (this.child.stdout) {
      createInterface({ input: this.child.stdout }).on('line', (line) => this.onEvent(JSON.parse(line)));
    }
    this.child.on('close', () => this.onEnd());
    this.child.on('error', (error) => this.gateFailed(error));
    const { gateMs } = this.limits;
    this.gateTimer = gateMs === null ? null : this.limit(gateMs, 'did not reach its gate');
  }

  /** Time the lease has left, from now. */
  renew(leaseMs: number): void {
    this.say(`lease ${leaseMs}`);
  }

  /** Opens the gate; resolves with the hold's length when CRIU has ended well, else throws. */
  async pass(): Promise<number> {
    this.say('pass');
    const timer = this.limit(this.limits.passMs, 'did not end after its gate was opened');
    const exit = await this.exit;
    clearTimeout(timer);
    await this.forcedEnd;
    if (exit.code !== 0 || exit.outcome !== 'passed') throw this.failure(exit);
    return exit.held_ms;
  }

  /** Fails the gate, now or when it is reached; resolves when CRIU is gone. */
  async fail(reason: string): Promise<void> {
    this.failReason = reason;
    this.say(`fail ${reason.replaceAll('\n', ' ')}`);
    this.endSurely();
    await this.exit;
    await this.forcedEnd;
  }

  /** A CRIU that hangs loses its lease. */
  private limit(ms: number, what: string): NodeJS.Timeout {
    const end = () => {
      this.late ||= `CRIU ${what} within ${ms / 1000} s`;
      this.say('lease 0');
      this.endSurely();
    };
    return setTimeout(end, ms).unref();
  }

  /** The watchdog is to end CRIU, and itself; one that hangs is ended. */
  private endSurely(): void {
    if (this.exitEvent !== null || this.endTimer !== null) return;
    const end = () => {
      this.late ||= 'the watchdog of CRIU did not answer';
      this.forceEnd();
      // It may hang before it has written its record.
      this.child.kill('SIGKILL');
    };
    const { graceMs, watchdogMs } = this.limits;
    this.endTimer = setTimeout(end, graceMs + watchdogMs).unref();
  }

  private forceEnd(): void {
    // What could not be removed is left to the next agent (L1).
    this.forcedEnd ??= endWatchdog(this.options.directory, 0, this.criu).catch(() => {});
  }

  private say(line: string): void {
    if (this.exitEvent === null) this.child.stdin?.write(`${line}\n`);
  }

  private onEvent(event: HoldEvent): void {
    if (event.event === 'started') this.criu = [processStat(event.pid)].filter((stat) => stat !== null);
    if (event.event === 'gate') {
      this.stopGateTimer();
      this.gateReached();
    }
    if (event.event === 'exit') this.exitEvent = event;
  }

  private onEnd(): void {
    if (this.exitEvent === null) this.forceEnd();
    const exit: ExitEvent = this.exitEvent ?? {
      event: 'exit',
      code: null,
      signal: null,
      outcome: 'killed',
      held_ms: 0,
    };
    this.exitEvent = exit;
    this.stopGateTimer();
    if (this.endTimer) clearTimeout(this.endTimer);
    this.gateFailed(this.failure(exit));
    this.ended(exit);
  }

  private stopGateTimer(): void {
    if (this.gateTimer) clearTimeout(this.gateTimer);
  }

  private failure(exit: ExitEvent): HoldfastError {
    if (this.late) return new HoldfastError('TIMEOUT', this.late, `see the log in ${this.options.directory}`);
    if (exit.outcome === 'lease' || exit.outcome === 'agent-lost') {
      return new HoldfastError('HOLD_LOST', `the hold ended before its release (${exit.outcome})`);
    }
    if (exit.outcome === 'killed') {
      return new HoldfastError('HOLD_LOST', 'the watchdog or CRIU was killed during the hold');
    }
    const why = this.failReason || this.options.explain();
    return new HoldfastError(
      this.failReason ? 'ABORTED' : 'CRIU_FAILED',
      `CRIU ended with ${exit.signal ? `signal ${exit.signal}` : `code ${exit.code}`}: ${why}`,
      `see the log in ${this.options.directory}`,
    );
  }
}
