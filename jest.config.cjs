/**
 * Six projects, named after their folders under test/. `checks` and `unit` run in parallel; `machine` (takes huge pages and swap), `contract`,
 * `e2e` and `slurm` start servers, simulated nodes and measurements, so their files run one after the other.
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

/** One file at a time, and minutes instead of seconds for a test. Jest ignores a project's own testTimeout. */
const serial = {
  runner: '<rootDir>/test/serial-runner.cjs',
  setupFilesAfterEnv: ['<rootDir>/test/long-timeout.cjs'],
};

module.exports = {
  maxWorkers: 2,
  testTimeout: 30_000,
  projects: [
    project('checks'),
    project('unit'),
    project('machine', serial),
    project('contract', serial),
    project('e2e', serial),
    project('slurm', serial),
  ],
};
