/** The checks that are tools of their own, each an npm script, so that `npm test` tells all in one place. */
import { spawnSync } from 'node:child_process';
import { PROJECT_ROOT } from '../../native/paths';

const CHECKS = {
  lint: 'the code is linted and formatted (npm run format mends most)',
  'check:types': 'the code has no type errors',
  'check:layers': 'each room uses only the rooms it may, without cycles and dead files',
  'check:generated': 'the generated code is fresh',
  'check:native': 'the native code compiles without warnings',
};

test.each(Object.entries(CHECKS))(
  'npm run %s: %s',
  (script) => {
    const { status, stdout, stderr } = spawnSync('npm', ['run', '--silent', script], {
      cwd: PROJECT_ROOT,
      encoding: 'utf8',
      env: { ...process.env, NO_COLOR: '1', FORCE_COLOR: '0' },
    });
    if (status !== 0)
      throw new Error(`npm run ${script} failed (${status}):\n${stdout}${stderr}`.slice(0, 8000));
  },
  120_000,
);
