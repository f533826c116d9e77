/**
 * Six projects, named after their folders under test/. Files run two at a time, one for each core of a small machine: first those of
 * `checks`, `unit` and `contract`, which keep the cores busy; then, apart from them, `e2e` and `slurm`, whose simulated nodes mostly wait and
 * measure how long. `machine` takes huge pages and swap, so its files run one after the other, with nobody else.
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

const alone = { ...patient, runner: '<rootDir>/test/serial-runner.cjs' };
const apart = { ...patient, runner: '<rootDir>/test/lanes-runner.cjs' };

module.exports = {
  maxWorkers: 2,
  testTimeout: 30_000,
  projects: [
    project('checks'),
    project('unit'),
    project('contract', patient),
    project('machine', alone),
    project('e2e', apart),
    project('slurm', apart),
  ],
};
