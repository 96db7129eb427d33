import type { IncomingMessage } from 'node:http';
import { isLoopbackHost } from '../../lib/loopback.ts';

/** The most headers of a request. Node would leave out those beyond its own limit, without a word. */
const MAX_HEADERS = 100;

/**
 * Headers that have one meaning. Of two of a kind Node takes the first, and something in front of the
 * gateway perhaps the other: then each would answer another request.
 */
const SINGLE: ReadonlyMap<string, number> = new Map(
  [
    'host',
    'authorization',
    'content-type',
    'content-length',
    'transfer-encoding',
    'origin',
    'router-authorization',
  ].map((name, index) => [name, 1 << index]),
);

/** Where a request goes. */
export interface RequestTarget {
  /** Without a slash at its end, unless it is "/". */
  readonly path: string;
  /** The query string without its `?`. */
  readonly search: string;
  /** The authority that the client asked, well-formed; undefined: it named none (HTTP/1.0). */
  readonly authority: string | undefined;
}

/** What is wrong with the head of a request. */
interface HeadFault {
  readonly status: 400 | 421 | 431 | 501;
  readonly error: string;
  /** Whether the connection is not to be used again. */
  readonly closes: boolean;
}

/** Reads where a request goes, or finds why it is not answered. */
export type HeadGuard = (request: IncomingMessage) => RequestTarget | HeadFault;

/** `loopbackOnly`: only requests to a loopback name are answered, see {@link isMisdirected}. */
export function createHeadGuard(loopbackOnly: boolean): HeadGuard {
  /** The last authority that is this machine's own. */
  let directed: string | undefined;
  return (request) => {
    const head = readHead(request);
    if ('error' in head || !loopbackOnly) return head;
    if (head.authority !== directed && isMisdirected(head)) return MISDIRECTED;
    directed = head.authority;
    return head;
  };
}

const MISDIRECTED: HeadFault = {
  status: 421,
  error:
    'With AUTH_MODE not set, the gateway answers under the names of its own machine only, such as localhost. Set AUTH_MODE=jwt, or AUTH_MODE=none where something in front of it checks who calls.',
  closes: false,
};

/**
 * A name that is not this machine's own, on a server that only this machine can reach: a foreign page
 * whose name was made to lead here (DNS rebinding), and which the browser then believes to be the gateway's. A request
 * that names no host is not from a browser.
 */
function isMisdirected({ authority }: RequestTarget): boolean {
  if (authority === undefined) return false;
  const { hostname } = new URL(`http://${authority}`);
  // RFC 6761, section 6.3: names below localhost are this machine, too. Tenants can have such.
  return !isLoopbackHost(hostname) && !hostname.endsWith('.localhost');
}

/**
 * Reads where a request goes, and finds what is wrong with its head besides what Node's parser refuses. The target
 * may have the absolute form (RFC 9112, section 3.2.2); its authority then has to be that of the Host header.
 */
function readHead(request: IncomingMessage): RequestTarget | HeadFault {
  const { rawHeaders, headers, httpVersion } = request;
  if (rawHeaders.length > 2 * MAX_HEADERS) {
    return malformed(`A request may have up to ${MAX_HEADERS} headers.`, 431);
  }
  let seen = 0;
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index]?.toLowerCase() ?? '';
    const bit = SINGLE.get(name) ?? 0;
    if ((seen & bit) !== 0) {
      return malformed(`The header ${name} is there twice.`);
    }
    seen |= bit;
  }
  const coding = headers['transfer-encoding'];
  if (coding !== undefined && coding.toLowerCase() !== 'chunked') {
    // RFC 9112, section 6.1. Node would read the body as it is, encoded.
    return {
      status: 501,
      error: 'The only transfer coding of a request can be chunked.',
      closes: true,
    };
  }
  const { host } = headers;
  if (host === undefined ? httpVersion !== '1.0' : !isAuthority(host)) {
    return malformed('The Host header is missing or malformed.');
  }
  const target = request.url ?? '/';
  if (target.startsWith('/')) return toTarget(target, host);
  const [, scheme, authority = '', rest = ''] = ABSOLUTE_FORM.exec(target) ?? [];
  if (scheme === undefined || !isAuthority(authority)) {
    return malformed('The request target is neither a path nor an http URL.');
  }
  // A port that is the scheme's own may be left out.
  const hostOf = (text: string) => new URL(`${scheme}://${text}`).host;
  if (host !== undefined && hostOf(host) !== hostOf(authority)) {
    return malformed('The request target names another host than the Host header.');
  }
  return toTarget(rest.startsWith('/') ? rest : `/${rest}`, authority);
}

function malformed(error: string, status: 400 | 431 = 400): HeadFault {
  return { status, error, closes: true };
}

/** What comes behind the authority stays as it is, as it does in a target that is a path. */
const ABSOLUTE_FORM = /^(https?):\/\/([^/?#]*)(.*)$/i;

/** The last authority that was found well-formed: nearly all requests have the same. */
let lastAuthority = '';

/** A host and perhaps a port: without what a URL has before and behind them. */
function isAuthority(text: string): boolean {
  if (text === lastAuthority) return true;
  const isWellFormed = /^[^\s/?#@\\]+$/.test(text) && URL.canParse(`http://${text}`);
  if (isWellFormed) lastAuthority = text;
  return isWellFormed;
}

function toTarget(target: string, authority: string | undefined): RequestTarget {
  const at = target.indexOf('?');
  const path = at === -1 ? target : target.slice(0, at);
  return {
    path: path.length > 1 && path.endsWith('/') ? path.slice(0, -1) : path,
    search: at === -1 ? '' : target.slice(at + 1),
    authority,
  };
}
