import type { IncomingMessage } from 'node:http';
import type { RequestScope } from '../graphql/context.ts';
import type { HttpAnswer } from '../graphql/http-answer.ts';
import type { GraphQLServer } from '../graphql/yoga.ts';
import type { KeptAnswers } from './kept-answers.ts';
import { acceptedMediaType } from './media-types.ts';

/**
 * The short way through the front door, for what nearly every request is: a POST of JSON that wants
 * one JSON answer. It does by itself what Yoga's HTTP layer would do with Request, Response, Headers
 * and streams, which is two thirds of the time that Yoga takes; the GraphQL in between is Yoga's own
 * pipeline, so that a plugin of it works here as there. The answer is the same as Yoga's would be
 * (`lanes.test.ts`).
 *
 * Resolves to undefined for whatever is Yoga's business: other methods and media types, bodies that
 * are not one JSON object, documents that may have a subscription. `admit` is called before anything
 * is run, but not for an answer that is kept, which costs as little as a refusal. Rejects with what that
 * throws, and else never.
 */
export type LeanLane = (
  request: IncomingMessage,
  body: string,
  scope: RequestScope,
  admit: () => void,
) => Promise<HttpAnswer | undefined>;

export function createLeanLane(graphql: GraphQLServer, keptAnswers: KeptAnswers): LeanLane {
  return async (request, body, scope, admit) => {
    const mediaType = acceptedMediaType(request);
    if (mediaType === undefined || isGraphQLJson(request)) return undefined;

    const question = { mediaType, caller: scope, body };
    const kept = keptAnswers.get(question);
    if (kept !== undefined) {
      scope.report.lane = 'kept';
      scope.report.operationName = kept.operationName;
      return kept.answer;
    }

    const params = parseParams(body);
    if (params === undefined) return undefined;
    admit();
    scope.report.lane = 'lean';
    const answer = await graphql.run(request, params, mediaType, scope);
    const { operationName, errorCodes, freshUntil } = scope.report;
    if (errorCodes.length === 0) keptAnswers.keep(question, { answer, operationName }, freshUntil);
    return answer;
  };
}

/** The media type of older clients, which Yoga's HTTP layer knows too. */
function isGraphQLJson({ headers }: IncomingMessage): boolean {
  return /^application\/graphql\+json/i.test(headers['content-type'] ?? '');
}

/** Parameters that only Yoga can judge are undefined; members are checked in its pipeline. */
function parseParams(body: string): object | undefined {
  let params: unknown;
  try {
    params = JSON.parse(body);
  } catch {
    return undefined;
  }
  if (typeof params !== 'object' || params === null || Array.isArray(params)) return undefined;
  const mayStream =
    'query' in params && typeof params.query === 'string' && params.query.includes('subscription');
  return mayStream ? undefined : params;
}
