/**
 * Six projects, named after their folders under test/. `checks`, `unit` and `contract` run in parallel; `machine` (takes huge pages and
 * swap), `e2e` and `slurm` start simulated nodes and measurements, so their files run one after the other.
 */
const common = {
  rootDir: __dirname,
  testEnvironment: 'node',
  modulePathIgnorePatterns: ['<rootDir>/dist/'],
  transform: {
    '\\.ts$': [
      '@swc/jest',
      {
        jsc: { parser: { syntax: 'typescript' }, target: 'es2022', keepClassNames: true },
        module: { type: 'commonjs' },
        sourceMaps: 'inline',
      },
    ],
  },
};

const project = (name, extra = {}) => ({
  ...common,
  displayName: name,
  testMatch: [`<rootDir>/test/${name}/**/*.test.ts`],
  ...extra,
});

/** Minutes instead of seconds for a test. Jest ignores a project's own testTimeout. */
const patient = { setupFilesAfterEnv: ['<rootDir>/test/long-timeout.cjs'] };

/** One file at a time. */
const serial = { ...patient, runner: '<rootDir>/test/serial-runner.cjs' };

module.exports = {
  maxWorkers: 2,
  testTimeout: 30_000,
  projects: [
    project('checks'),
    project('unit'),
    project('contract', patient),
    project('machine', serial),
    project('e2e', serial),
    project('slurm', serial),
  ],
};
