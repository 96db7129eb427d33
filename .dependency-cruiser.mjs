/**
 * The import direction of src/ (docs/architecture.md). Within a chain, a folder may import those behind it,
 * never those ahead of it; core and lib may be imported by all.
 */
const base = '^src/(core|lib)/';
const chain = ['graphql', 'status', 'upstream', 'tokens', 'http-client'];

/** A folder imports these and itself alone, beside core and lib. */
function importsOnly(folder, allowed, comment) {
  return {
    name: `${folder}-imports-only`,
    comment,
    severity: 'error',
    from: { path: `^src/${folder}/` },
    to: {
      path: '^(src|scripts|test)/',
      pathNot: [base, ...[folder, ...allowed].map((name) => `^src/${name}(/|\\.ts$)`)],
    },
  };
}

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
    ...chain.map((folder, index) =>
      importsOnly(
        folder,
        chain.slice(index + 1),
        `${chain.join(' → ')}: never from right to left.`,
      ),
    ),
    importsOnly('server', [], 'HTTP, and no GraphQL: app.ts hands it its guards and its handler.'),
    importsOnly('auth', ['http-client'], 'Knows neither the server nor GraphQL.'),
    importsOnly('telemetry', [], 'Subscribes to the port of core.'),
    importsOnly('config', [], 'Settings are read at the edge and handed on.'),
    importsOnly('sandbox', [], 'The sandbox shares no code with what it is there to test.'),
    importsOnly(
      'doctor',
      ['tenants', 'auth', 'status', 'upstream', 'tokens', 'http-client', 'config'],
      'The doctor looks at what the gateway would do, and answers no requests.',
    ),
    {
      name: 'core-imports-lib-alone',
      comment: 'What all speak, and no more.',
      severity: 'error',
      from: { path: '^src/core/' },
      to: { pathNot: '^src/(core|lib)/' },
    },
    {
      name: 'lib-imports-nothing-of-the-house',
      comment: 'It could be a package of its own.',
      severity: 'error',
      from: { path: '^src/lib/' },
      to: { path: '^src/', pathNot: '^src/lib/' },
    },
    {
      name: 'telemetry-is-handed-in',
      comment: 'Everything else speaks to the port of core.',
      severity: 'error',
      from: {
        path: '^src/',
        pathNot: '^src/(main|app|index|gateway-state|optional-parts)\\.ts$|^src/telemetry/',
      },
      to: { path: '^src/telemetry/' },
    },
    {
      name: 'config-is-handed-in',
      comment: 'Parts take what they need as an argument.',
      severity: 'error',
      from: {
        path: '^src/',
        pathNot:
          '^src/(main|app|index|gateway-state|optional-parts)\\.ts$|^src/(commands|doctor|config|tenants)/',
      },
      to: { path: '^src/config/' },
    },
    {
      name: 'sandbox-is-reached-by-url',
      comment: 'The sandbox stands for a foreign service: it is started in one place.',
      severity: 'error',
      from: { pathNot: '^src/(tenants/|commands/sandbox\\.ts|sandbox/)' },
      to: { path: '^src/sandbox/' },
    },
    {
      name: 'commands-are-run-by-main',
      comment: 'The gateway does not need them.',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/(main\\.ts|commands/|doctor/)' },
      to: { path: '^src/(commands|doctor)/' },
    },
    {
      name: 'node-http-not-by-import',
      comment: 'Its import loads fetch and WebSocket: src/lib/node-http.ts has what is used of it.',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/lib/node-http\\.ts$' },
      to: { path: '^(node:)?http$', dependencyTypesNot: ['type-only'] },
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
