import { isLoopbackHost } from '../lib/loopback.ts';
import { infoOf, VARIABLE_NAMES, type VariableName } from './variables.ts';

/** The texts of the variables that are set; an empty one is not. */
export type Given = Readonly<Partial<Record<VariableName, string | undefined>>>;

/** A variable, and what is wrong with it, as the end of a sentence that begins with its name. */
export type Fault = readonly [name: VariableName, problem: string];

/**
 * What is wrong not in one variable, but between them, or with the files that they name; `canRead`
 * tells whether a file can be read. A variable can come more than once: the first says most.
 */
export function faultyCombinations(given: Given, canRead: (path: string) => boolean): Fault[] {
  return [
    ...faultyToken(given, canRead),
    ...faultyDocuments(given, canRead),
    ...faultyAuth(given),
    ...faultyTenant(given),
    ...faultyIntake(given),
  ];
}

function faultyIntake(given: Given): Fault[] {
  const numberOf = (name: VariableName) => Number(given[name] ?? infoOf(name).fallback);
  return numberOf('INTAKE_MAX_BYTES') < numberOf('REQUEST_MAX_BYTES')
    ? [['INTAKE_MAX_BYTES', 'is less than REQUEST_MAX_BYTES']]
    : [];
}

function faultyToken(given: Given, canRead: (path: string) => boolean): Fault[] {
  const faults: Fault[] = [];
  const file = given.TOKEN_CLIENT_SECRET_FILE;
  if (given.TOKEN_CLIENT_SECRET !== undefined && file !== undefined) {
    faults.push([
      'TOKEN_CLIENT_SECRET',
      'is set together with TOKEN_CLIENT_SECRET_FILE: one of them',
    ]);
  }
  if (file !== undefined && !canRead(file)) {
    faults.push(['TOKEN_CLIENT_SECRET_FILE', `is ${JSON.stringify(file)}, which cannot be read`]);
  }
  if (given.TOKEN_ISSUER === undefined) return faults;
  if (given.TOKEN_GRANT !== 'oauth2') {
    faults.push(['TOKEN_ISSUER', 'is set without TOKEN_GRANT=oauth2']);
  }
  if (given.TOKEN_URL !== undefined) {
    faults.push(['TOKEN_URL', 'is set together with TOKEN_ISSUER: one of them']);
  }
  return faults;
}

function faultyDocuments(given: Given, canRead: (path: string) => boolean): Fault[] {
  const faults: Fault[] = [];
  const documents = given.TRUSTED_DOCUMENTS;
  if (documents === undefined) return faults;
  if (!canRead(documents)) {
    faults.push(['TRUSTED_DOCUMENTS', `is ${JSON.stringify(documents)}, which cannot be read`]);
  }
  for (const name of ['PERSISTED_QUERIES', 'GRAPHIQL'] as const) {
    if (given[name] === 'on') faults.push([name, 'is on together with TRUSTED_DOCUMENTS']);
  }
  return faults;
}

/** Settings of AUTH_MODE=jwt mean that somebody wants callers checked: without it nobody would. */
function faultyAuth(given: Given): Fault[] {
  const faults: Fault[] = [];
  const mode = given.AUTH_MODE;
  if (mode === undefined && !isLoopbackHost(given.HOST ?? '127.0.0.1')) {
    faults.push([
      'AUTH_MODE',
      "is missing, although others than this machine can connect to HOST: whoever does could read the tenant's batches",
    ]);
  }
  if (mode === 'jwt') {
    const issuer = given.AUTH_ISSUER !== undefined;
    if (!issuer && given.PARTICIPANT_SERVICE_URL !== undefined) {
      faults.push(['AUTH_ISSUER', 'is missing, although AUTH_MODE is jwt']);
    }
    if (issuer && given.AUTH_AUDIENCE === undefined) {
      faults.push(['AUTH_AUDIENCE', 'is missing, although AUTH_ISSUER is set']);
    }
    for (const name of ['AUTH_AUDIENCE', 'AUTH_JWKS_URL'] as const) {
      if (!issuer && given[name] !== undefined) {
        faults.push([name, 'is set without AUTH_ISSUER']);
      }
    }
    return faults;
  }
  for (const name of NEED_JWT) {
    const text = given[name];
    if (text !== undefined && text !== infoOf(name).fallback) {
      faults.push([name, 'is set without AUTH_MODE=jwt']);
    }
  }
  return faults;
}

const NEED_JWT = VARIABLE_NAMES.filter(
  (name) =>
    (name.startsWith('AUTH_') && name !== 'AUTH_MODE') ||
    name === 'FEDERATION_SCOPE' ||
    name === 'FORWARD_USER_INFO',
);

function faultyTenant(given: Given): Fault[] {
  if (given.PARTICIPANT_SERVICE_URL !== undefined) {
    const required: VariableName[] = ['PARTICIPANT_SERVICE_TENANT_ID', 'TOKEN_CLIENT_ID'];
    if (given.TOKEN_CLIENT_SECRET_FILE === undefined) required.push('TOKEN_CLIENT_SECRET');
    if (given.TOKEN_GRANT === 'oauth2' && given.TOKEN_ISSUER === undefined) {
      required.push('TOKEN_URL');
    }
    return required.filter((name) => given[name] === undefined).map((name) => [name, 'is missing']);
  }
  // Somebody means a real tenant: do not serve them the sandbox's answers.
  const meant = MEAN_A_TENANT.find((name) => given[name] !== undefined);
  if (meant === undefined) return [];
  return [['PARTICIPANT_SERVICE_URL', `is missing, although ${meant} is set`]];
}

const MEAN_A_TENANT: readonly VariableName[] = [
  'PARTICIPANT_SERVICE_TENANT_ID',
  'TOKEN_CLIENT_ID',
  'TOKEN_CLIENT_SECRET',
  'TOKEN_CLIENT_SECRET_FILE',
  'TOKEN_URL',
  'TOKEN_ISSUER',
];
