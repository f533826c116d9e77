/** Decisions about who may, without any connection. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  type Action,
  hasRole,
  manifestFor,
  mayAct,
  ROLES,
  type Role,
  RULES,
  requireCheckpoint,
  requireJob,
  requirePrivilege,
  requireRole,
  shownTo,
} from '../../../coordinator/api/authorize';
import { checkSpec, hasSchedule } from '../../../coordinator/jobs/spec';
import { systemUsers } from '../../../coordinator/users/database';
import { Roles, roleOf } from '../../../coordinator/users/roles';
import { openLog } from '../../../core/log';
import {
  CheckpointSummary,
  CoordinatorServiceService,
  Job,
} from '../../../proto/gen/holdfast/v1/coordinator';
import { JobSpec, Manifest } from '../../../proto/gen/holdfast/v1/manifest';
import { ManualClock } from './support/manualClock';

const NOW_MS = 1_800_000_000_000;

const caller = (uid: number, role: Role = uid === 0 ? 'admin' : 'user') => ({
  ...{ uid, gid: uid, pid: 1, node: 'n1', role },
});
const spec = (more: Partial<JobSpec> = {}) =>
  JobSpec.fromPartial({ argv: ['/bin/true'], workingDirectory: '/', ...more });
const job = Job.fromPartial({ id: 'j-1', spec: { uid: 1000, environment: { TOKEN: 'secret' } } });

test('every call of the service has a rule', () => {
  expect(
    Object.keys(RULES)
      .filter((action) => action !== 'collectGarbageDryRun')
      .sort(),
  ).toEqual(Object.keys(CoordinatorServiceService).sort());
});

test('the table of docs/security.md is the one of the code', () => {
  const page = readFileSync(join(__dirname, '..', '..', '..', 'docs', 'security.md'), 'utf8');
  const rows = [...page.matchAll(/^\| `([A-Za-z]+)` \| (own|all|–) \| (own|all|–) \| (own|all|–) \|$/gm)];
  const shown = Object.fromEntries(rows.map(([, call, ...rights]) => [call, rights]));
  const rightOf = (action: Action, role: Role) => {
    const someone = caller(1001, role);
    if (!hasRole(someone, RULES[action].own)) return '–';
    return mayAct(someone, action, 1000) ? 'all' : 'own';
  };
  const expected = Object.keys(RULES).map((action) => [
    action,
    ROLES.map((role) => rightOf(action as Action, role)),
  ]);
  expect(shown).toEqual(Object.fromEntries(expected));
});

test('owner, operator and root', () => {
  expect(requireJob(caller(1000), 'getJob', job)).toBe(job);
  expect(requireJob(caller(0), 'restart', job)).toBe(job);
  expect(requireJob(caller(7, 'operator'), 'killJob', job)).toBe(job);
  const denied = 'job j-1 belongs to another user; the caller is uid';
  expect(() => requireJob(caller(1001), 'getJob', job)).toThrow(`${denied} 1001`);
  expect(() => requireJob(caller(7, 'operator'), 'restart', job)).toThrow(`${denied} 7`);
  const summary = CheckpointSummary.fromPartial({ ckptId: 4, uid: 1000 });
  expect(() => requireCheckpoint(caller(1001), 'export', summary)).toThrow('checkpoint 4');
  expect(() => requireRole(caller(1000), 'drain')).toThrow('only operators and admins may call drain');
  expect(() => requireRole(caller(7, 'operator'), 'rebuildCatalog')).toThrow('only admins may call');
  requireRole(caller(7, 'operator'), 'drain');
});

test('an environment is shown to its owner and to admins', () => {
  const environment = (who: ReturnType<typeof caller>) => shownTo(who, job).spec?.environment;
  expect(environment(caller(1000))).toEqual({ TOKEN: 'secret' });
  expect(environment(caller(5, 'admin'))).toEqual({ TOKEN: 'secret' });
  expect(environment(caller(5, 'operator'))).toEqual({});
  const manifest = Manifest.fromPartial({ header: { job: 'j-1', spec: job.spec } });
  expect(manifestFor(caller(5, 'operator'), manifest).header).toMatchObject({
    job: 'j-1',
    spec: { environment: {} },
  });
});

test('ids come from the kernel, except that an admin acts for others', () => {
  const asked = spec({ uid: 0, gid: 0 });
  expect(checkSpec(asked, caller(1000), NOW_MS)).toMatchObject({ uid: 1000, gid: 1000 });
  expect(checkSpec(asked, caller(1000, 'operator'), NOW_MS)).toMatchObject({ uid: 1000, gid: 1000 });
  expect(checkSpec(spec({ uid: 7, gid: 8 }), caller(0), NOW_MS)).toMatchObject({ uid: 7, gid: 8 });
});

describe('ckpt_unpriv_allowed', () => {
  test.each([
    [0, [false, false, false]],
    [1, [true, true, false]],
    [2, [true, true, true]],
  ] as const)('%d', (allowed, expected) => {
    const acts = ['checkpoint', 'schedule', 'restart'] as const;
    const outcomes = (who: ReturnType<typeof caller>) =>
      acts.map((act) => {
        try {
          requirePrivilege(who, act, allowed);
          return true;
        } catch (thrown) {
          expect(thrown).toMatchObject({
            code: 'PERMISSION_DENIED',
            message: expect.stringMatching(
              new RegExp(`^ckpt_unpriv_allowed is ${allowed}: only .* uid 1000$`),
            ),
            remedy: expect.stringContaining('have ckpt-unpriv-allowed set to'),
          });
          return false;
        }
      });
    expect(outcomes(caller(1000))).toEqual(expected);
    expect(outcomes(caller(1000, 'operator'))).toEqual([true, true, expected[2]]);
    expect(outcomes(caller(1000, 'admin'))).toEqual([true, true, true]);
  });

  test.each<[Partial<JobSpec>, boolean]>([
    [{}, false],
    [{ intervalMs: 1000 }, true],
    [{ cron: '@daily' }, true],
    [{ adaptive: true }, true],
    [{ deadlineMs: 1 }, true],
    [{ walltimeMs: 1 }, true],
  ])('a job with %j has a schedule: %s', (change, expected) => {
    expect(hasSchedule(spec(change))).toBe(expected);
  });
});

describe('roles', () => {
  const alice = { name: 'alice', groups: ['100', 'users', '2000', 'domain admins'] };

  test.each<[Role, number, { admins?: string[]; operators?: string[] }]>([
    ['admin', 0, {}],
    ['user', 1000, {}],
    ['operator', 1000, { operators: ['1000'] }],
    ['admin', 1000, { operators: ['1000'], admins: ['alice'] }],
    ['operator', 1000, { operators: ['group:users'] }],
    ['operator', 1000, { operators: ['group:2000'] }],
    ['admin', 1000, { admins: ['group:domain admins'] }],
    ['user', 1000, { admins: ['users', '2000', 'group:alice'], operators: ['bob', '100'] }],
  ])('%s: uid %d with %j', (role, uid, lists) => {
    expect(roleOf(uid, uid === 0 ? null : alice, { admins: [], operators: [], ...lists })).toBe(role);
  });

  test('users are looked up only for names, and again after a minute; who cannot be has no role by name', async () => {
    const clock = new ManualClock();
    const log = openLog('test', 'silent');
    let lists = { admins: ['5'], operators: [] as string[] };
    let answer: () => Promise<{ name: string; groups: string[] }> = async () => alice;
    let asked = 0;
    const users = { find: () => ++asked > 0 && answer() } as unknown as ConstructorParameters<
      typeof Roles
    >[1];
    const roles = new Roles(() => lists, users, clock, log);
    expect([await roles.of(5), await roles.of(1000), asked]).toEqual(['admin', 'user', 0]);
    lists = { admins: ['5'], operators: ['group:users'] };
    expect([await roles.of(0), await roles.of(1000), await roles.of(1000), asked]).toEqual([
      ...['admin', 'operator', 'operator'],
      1,
    ]);
    answer = () => Promise.reject(new Error('no answer'));
    expect(await roles.of(1000)).toBe('operator');
    clock.advance(60_000);
    expect([await roles.of(1000), await roles.of(5), asked]).toEqual(['user', 'admin', 3]);
  });

  test('names that nobody has are told at the start', async () => {
    const lines: { unknown?: string[]; msg: string }[] = [];
    const log = openLog('test', 'warn', { write: (line) => void lines.push(JSON.parse(line)) });
    const lists = {
      admins: ['root', 'group:root', '4123456789', 'alise-typo'],
      operators: ['group:no-such', 'alise-typo'],
    };
    await new Roles(() => lists, systemUsers, new ManualClock(), log).warnOfUnknown();
    expect(lines).toMatchObject([{ unknown: ['group:no-such', 'alise-typo'] }]);
  });

  test('the name service knows names and groups of this machine', async () => {
    expect(await systemUsers.find(0)).toMatchObject({
      name: 'root',
      groups: expect.arrayContaining(['0', 'root']),
    });
    expect(await systemUsers.find(4_123_456_789)).toBeNull();
  });
});
