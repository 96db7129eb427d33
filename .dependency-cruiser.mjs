/**
 * The rooms of the house, from the front door to the network. Calls go to the right; no room
 * imports one to its left. The files directly in src/ that rooms may share are named in `shared`.
 */
const rooms = ['http', 'callers', 'graphql', 'participants', 'tokens', 'network'];
const shared = '^src/(abort|clock|log|loopback)\\.ts$';

/** @type {import('dependency-cruiser').IConfiguration} */
export default {
  forbidden: [
    {
      name: 'no-circles',
      comment: 'Two files that need each other are one file, or want a third.',
      severity: 'error',
      from: {},
      to: { circular: true },
    },
    {
      name: 'no-unknown-imports',
      comment: 'Everything imported exists and is a declared dependency.',
      severity: 'error',
      from: {},
      to: {
        couldNotResolve: true,
      },
    },
    {
      name: 'declared-dependencies-only',
      comment: 'What runs in production is in "dependencies".',
      severity: 'error',
      from: { path: '^src' },
      to: { dependencyTypes: ['npm-dev', 'npm-no-pkg', 'npm-unknown', 'undetermined'] },
    },
    ...rooms.map((room, index) => ({
      name: `${room}-looks-right-only`,
      comment: `${room}/ imports only the rooms to its right: ${rooms.slice(index + 1).join(', ') || 'none'}.`,
      severity: 'error',
      from: { path: `^src/${room}/` },
      to: {
        path: '^(src|scripts|test)/',
        pathNot: [shared, ...rooms.slice(index).map((right) => `^src/${right}/`)],
      },
    })),
    {
      name: 'shared-files-import-nothing',
      comment: 'What every room may use knows no room.',
      severity: 'error',
      from: { path: shared },
      to: { path: '^src/', pathNot: shared },
    },
    {
      name: 'settings-stand-alone',
      comment: 'Settings are read at the edge and handed on; they know no room.',
      severity: 'error',
      from: { path: '^src/settings\\.ts$' },
      to: { path: '^src/', pathNot: shared },
    },
    {
      name: 'sandbox-is-reached-by-url',
      comment: 'The sandbox stands for a foreign service: it is started in one place.',
      severity: 'error',
      from: {
        pathNot: '^(src/composition\\.ts|src/gateway\\.ts|src/sandbox/|scripts/sandbox\\.ts)',
      },
      to: { path: '^src/sandbox/' },
    },
    {
      name: 'sandbox-stands-alone',
      comment: 'The sandbox shares no code with what it is there to test.',
      severity: 'error',
      from: { path: '^src/sandbox/' },
      to: { path: '^src/', pathNot: ['^src/sandbox/', shared] },
    },
    {
      name: 'doctor-goes-the-gateway-s-way',
      comment: 'The doctor looks at what the gateway would do, and answers no requests.',
      severity: 'error',
      from: { path: '^src/doctor/' },
      to: {
        path: '^(src|scripts|test)/',
        pathNot: [
          shared,
          '^src/(doctor|callers|participants|tokens|network)/',
          '^src/(settings|composition)\\.ts$',
        ],
      },
    },
    {
      name: 'doctor-is-run-by-main',
      comment: 'The gateway does not need it.',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/(main\\.ts|doctor/)' },
      to: { path: '^src/doctor/' },
    },
    {
      name: 'process-in-main-only',
      comment: 'src/main.ts is the only file of src/ that talks to the process.',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/main\\.ts$' },
      to: { path: '^(node:)?process$' },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'node', 'types'],
    },
  },
};
