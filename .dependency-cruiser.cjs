/**
 * The rooms of docs/architecture.md, enforced: which folder may use which. Type-only imports count. proto/gen may
 * be used by all.
 */
const MAY_USE = {
  proto: [],
  core: ['proto'],
  store: ['core'],
  native: ['core'],
  agent: ['core', 'store', 'native'],
  // Peer credentials of a UNIX socket are the one thing the coordinator needs the native side for.
  coordinator: ['core', 'store', 'native/index\\.ts$'],
  cli: ['core', 'store', 'native', 'agent', 'coordinator'],
};
const ROOMS = `^(${[...Object.keys(MAY_USE), 'deploy', 'test'].join('|')})/`;

/** Where programs start (those that tests start are named …-child.ts or …Process.ts), and what Jest or Node loads by name. */
const ENTRY_POINTS = [
  '(^|/)main\\.ts$',
  '\\.test\\.ts$',
  '^test/[^/]+\\.cjs$',
  '^test/.*(-child|Process)\\.ts$',
];

const layers = Object.entries(MAY_USE).map(([room, others]) => ({
  name: `layer-${room}`,
  comment: `${room}/ may use ${['itself', 'proto/gen', ...others].join(', ')} only (docs/architecture.md, Rooms)`,
  severity: 'error',
  from: { path: `^${room}/` },
  to: { path: ROOMS, pathNot: [`^${room}/`, '^proto/gen/', ...others.map((other) => `^${other}/?`)] },
}));

module.exports = {
  forbidden: [
    ...layers,
    {
      name: 'cycle',
      comment: 'modules depend on each other in a circle',
      severity: 'error',
      from: {},
      to: { circular: true },
    },
    {
      name: 'unresolvable',
      comment: 'the imported module does not exist',
      severity: 'error',
      from: {},
      to: { couldNotResolve: true },
    },
    {
      name: 'only-for-development',
      comment: 'what runs on a cluster imports a package of devDependencies',
      severity: 'error',
      from: { pathNot: '^test/' },
      to: { dependencyTypes: ['npm-dev'], dependencyTypesNot: ['type-only'] },
    },
    {
      name: 'undeclared',
      comment: 'the imported package is not in package.json',
      severity: 'error',
      from: {},
      to: { dependencyTypes: ['npm-no-pkg', 'npm-unknown'] },
    },
    {
      name: 'dead-file',
      comment: 'no program and no test gets to this module: delete it, or use it',
      severity: 'error',
      from: { path: ENTRY_POINTS },
      to: { path: ROOMS, pathNot: ['^proto/gen/', ...ENTRY_POINTS], reachable: false },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '^(dist|native/build)/' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['require', 'node', 'default', 'types'],
      extensions: ['.ts', '.js', '.cjs', '.json'],
    },
  },
};
