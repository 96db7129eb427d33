import { type Environment, parseSettings, SettingsError } from '../src/config/load.ts';
import {
  infoOf,
  RATE_PER_SECOND_WITH_JWT,
  VARIABLE_GROUPS,
  type VariableName,
} from '../src/config/variables.ts';

/** A document that is written from the table of settings, in part or as a whole. */
export interface SettingsDocument {
  /** From the project's folder. */
  path: string;
  /** What it should be, given what it is. Throws when the place for what is printed is not there. */
  print(present: string): string;
}

export const SETTINGS_DOCUMENTS: readonly SettingsDocument[] = [
  { path: 'docs/settings.md', print: printSettings },
  { path: '.env.example', print: printExample },
  { path: 'docs/security.md', print: (present) => replaceMarked(present, printLimits()) },
];

function introduction(): string {
  return `# Settings

<!-- Printed by \`npm run settings\` from src/config/variables.ts: change it there. -->

Each is a variable of the environment, or of the file \`.env\` in the folder that the gateway is started in; where both have it, the environment counts. [.env.example](../.env.example) has them all, to copy. White space around a value is not part of it, and an empty value counts as not set. With nothing set, the gateway runs on its sandbox; with \`NODE_ENV=production\`, only where \`SANDBOX=on\` says so.

Faulty settings are told in one message, all of them, and the process exits with 1; what may be a secret is not shown:

\`\`\`
${messageOf({
  PORT: 'http',
  PARTICIPANT_SERVICE_URL: 'https://acme.example.com',
  PARTICIPANT_SERVICE_TENANT_ID: 'acme',
  TOKEN_CLIENT_SECRET: 'not shown',
  AUTH_REQUIRED_SCOPE: 'batch:read',
})}
\`\`\`

**Many tenants.** With \`TENANTS_DIR\`, a tenant is a JSON file with these names: [tenants.md](tenants.md). Where a row ends with "in the tenant's file", the setting is in each file, and not in the environment; with "in either", the environment has the default of all tenants; the others are the process's.

A variable whose name is one of these but for two letters, a plural, a unit or \`_FILE\` is a fault, as the last one here. Another one that begins like one of these is a warning, in the log at the start and in the doctor's report. What Kubernetes injects for a Service of any name (\`*_SERVICE_HOST\`, \`*_SERVICE_PORT*\`, \`*_PORT\`, \`*_PORT_*_TCP*\`), and CGI for a request (\`REQUEST_METHOD\` and its like), is neither.

**Files.** Every secret X can come from the file that \`X_FILE\` names. That file, like \`.env\`, is UTF-8, with a byte order mark or without, with line ends of any system; UTF-16 is refused, and so is a line of \`.env\` that sets nothing, such as \`PORT: 4000\`. A secret is one line without control and invisible characters. Files are read at the start; \`TOKEN_CLIENT_SECRET_FILE\` also when the credentials are refused.

**Certificates.** Besides the certificate authorities that come with Node.js, those in the file that \`NODE_EXTRA_CA_CERTS\` names are trusted. Node.js itself reads that variable, before \`.env\`: so it has to be in the environment.

\`NODE_ENV=production\` switches GraphiQL and introspection off, unless their settings say otherwise. How to choose: [operations.md](operations.md); a whole set for production: [security.md](security.md); with a router: [federation.md](federation.md).
`;
}

/** What the gateway says of faulty settings. */
function messageOf(environment: Environment): string {
  try {
    parseSettings(environment, () => Buffer.of());
  } catch (error) {
    if (error instanceof SettingsError) return error.message;
    throw error;
  }
  throw new Error('These settings are not faulty');
}

/** Where a variable is set that is a tenant's, with TENANTS_DIR. */
const IN_A_FILE = { own: "in the tenant's file", shared: 'in either' } as const;

function printSettings(): string {
  const sections = VARIABLE_GROUPS.map(({ heading, names }) => {
    const rows = names.map((name) => {
      const { accepts, meaning, fallback, perTenant } = infoOf(name);
      const where = perTenant === undefined ? '' : IN_A_FILE[perTenant];
      return [`\`${name}\``, fallback ? `\`${fallback}\`` : '', accepts, meaning, where];
    });
    const head = ['setting', 'default', 'accepts', 'meaning', 'with many tenants'];
    return `\n## ${heading}\n\n${table(head, rows)}`;
  });
  return introduction() + sections.join('');
}

function printExample(): string {
  const sections = VARIABLE_GROUPS.map(({ heading, names }) => {
    const lines = names.map((name) => {
      const { meaning, fallback, perTenant } = infoOf(name);
      const note = perTenant === 'own' ? " With TENANTS_DIR: in each tenant's file, not here." : '';
      return `\n# ${meaning}${note}\n#${name}=${fallback ?? ''}\n`;
    });
    return `\n# ---- ${heading} ----\n${lines.join('')}`;
  });
  return `# Copy to .env and take the "#" away from what you set. Variables of the environment come first.
# With nothing set, the gateway runs on its sandbox. What each accepts: docs/settings.md.
# Printed by \`npm run settings\`.
${sections.join('')}`;
}

function printLimits(): string {
  const complex = '`OPERATION_TOO_COMPLEX`';
  return table(
    ['what', 'default', 'setting', 'refused with'],
    [
      limit('request body', 'REQUEST_MAX_BYTES', '`PAYLOAD_TOO_LARGE`, 413', 'bytes'),
      limit('tokens of a document', 'QUERY_MAX_TOKENS', `${complex}, 400`),
      limit('depth', 'QUERY_MAX_DEPTH', 'the same'),
      limit('aliases', 'QUERY_MAX_ALIASES', 'the same'),
      limit('directives', 'QUERY_MAX_DIRECTIVES', 'the same'),
      limit('cost (below)', 'QUERY_MAX_COST', 'the same'),
      limit(
        'different batches in one request',
        'QUERY_MAX_BATCHES',
        `${complex} at their fields, before any call`,
      ),
      [
        'references of a router, equal ones counted',
        'five times that',
        '`QUERY_MAX_BATCHES`',
        `${complex} at \`_entities\``,
      ],
      [
        'requests of one caller, with `AUTH_MODE=jwt`',
        `\`${RATE_PER_SECOND_WITH_JWT}\` a second, and ${fallbackOf('RATE_LIMIT_BURST')} more in 10 s`,
        '`RATE_LIMIT_PER_SECOND`, `RATE_LIMIT_BURST`',
        '`RATE_LIMITED`, 429',
      ],
      limit('requests that are held at a time', 'INTAKE_MAX_REQUESTS', '`OVERLOADED`, 503'),
      limit('their bodies together', 'INTAKE_MAX_BYTES', 'the same', 'bytes'),
      limit(
        'upstream calls at a time',
        'UPSTREAM_MAX_CONNECTIONS',
        'a wait, then `OVERLOADED` at the field',
      ),
      limit('answer', 'RESPONSE_MAX_BYTES', `${complex} at its fields`, 'bytes'),
      limit('time to take 16 KiB a second of an answer', 'RESPONSE_TIMEOUT_MS', 'closed', 'ms'),
      limit('time to send a request', 'REQUEST_TIMEOUT_MS', '408', 'ms'),
      limit('connections', 'MAX_SOCKETS', 'closed'),
      ['head of a request', '16 KiB, 100 headers', '', '431'],
    ],
  );
}

function limit(what: string, name: VariableName, refusal: string, unit = ''): string[] {
  return [what, `${fallbackOf(name)} ${unit}`.trimEnd(), `\`${name}\``, refusal];
}

function fallbackOf(name: VariableName): string {
  return `\`${infoOf(name).fallback}\``;
}

/** A table in Markdown; no cell may have a line break or a "|". */
function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) =>
    `|${cells.map((cell) => (cell === '' ? ' |' : ` ${cell} |`)).join('')}\n`;
  return line(head) + line(head.map(() => '---')).replaceAll(' ', '') + rows.map(line).join('');
}

const MARKED =
  /(<!-- Printed by `npm run settings`[^>]*-->\n\n).*?(\n<!-- End of what is printed. -->)/s;

function replaceMarked(text: string, printed: string): string {
  if (!MARKED.test(text)) throw new Error('The place for what is printed is not marked');
  return text.replace(MARKED, (_, begin: string, end: string) => `${begin}${printed}${end}`);
}
