/* eslint-disable */
/* prettier-ignore */

export type introspection_types = {
    'BatchRecord': { kind: 'OBJECT'; name: 'BatchRecord'; fields: { 'code': { name: 'code'; type: { kind: 'SCALAR'; name: 'String'; ofType: null; } }; 'id': { name: 'id'; type: { kind: 'SCALAR'; name: 'ID'; ofType: null; } }; 'reason': { name: 'reason'; type: { kind: 'SCALAR'; name: 'String'; ofType: null; } }; 'record': { name: 'record'; type: { kind: 'SCALAR'; name: 'JSON'; ofType: null; } }; 'refId': { name: 'refId'; type: { kind: 'SCALAR'; name: 'String'; ofType: null; } }; }; };
    'BatchRecordConnection': { kind: 'OBJECT'; name: 'BatchRecordConnection'; fields: { 'edges': { name: 'edges'; type: { kind: 'NON_NULL'; name: never; ofType: { kind: 'LIST'; name: never; ofType: { kind: 'NON_NULL'; name: never; ofType: { kind: 'OBJECT'; name: 'BatchRecordEdge'; ofType: null; }; }; }; } }; 'pageInfo': { name: 'pageInfo'; type: { kind: 'NON_NULL'; name: never; ofType: { kind: 'OBJECT'; name: 'PageInfo'; ofType: null; }; } }; 'totalCount': { name: 'totalCount'; type: { kind: 'NON_NULL'; name: never; ofType: { kind: 'SCALAR'; name: 'Int'; ofType: null; }; } }; }; };
    'BatchRecordEdge': { kind: 'OBJECT'; name: 'BatchRecordEdge'; fields: { 'cursor': { name: 'cursor'; type: { kind: 'NON_NULL'; name: never; ofType: { kind: 'SCALAR'; name: 'String'; ofType: null; }; } }; 'node': { name: 'node'; type: { kind: 'NON_NULL'; name: never; ofType: { kind: 'OBJECT'; name: 'BatchRecord'; ofType: null; }; } }; }; };
    'BatchStatus': { kind: 'OBJECT'; name: 'BatchStatus'; fields: { 'batchId': { name: 'batchId'; type: { kind: 'SCALAR'; name: 'ID'; ofType: null; } }; 'data': { name: 'data'; type: { kind: 'NON_NULL'; name: never; ofType: { kind: 'SCALAR'; name: 'JSONObject'; ofType: null; }; } }; 'dataAt': { name: 'dataAt'; type: { kind: 'SCALAR'; name: 'JSON'; ofType: null; } }; 'failureCount': { name: 'failureCount'; type: { kind: 'SCALAR'; name: 'Int'; ofType: null; } }; 'failures': { name: 'failures'; type: { kind: 'OBJECT'; name: 'BatchRecordConnection'; ofType: null; } }; 'fetchedAt': { name: 'fetchedAt'; type: { kind: 'NON_NULL'; name: never; ofType: { kind: 'SCALAR'; name: 'DateTime'; ofType: null; }; } }; 'finished': { name: 'finished'; type: { kind: 'SCALAR'; name: 'Boolean'; ofType: null; } }; 'id': { name: 'id'; type: { kind: 'NON_NULL'; name: never; ofType: { kind: 'SCALAR'; name: 'ID'; ofType: null; }; } }; 'participantType': { name: 'participantType'; type: { kind: 'NON_NULL'; name: never; ofType: { kind: 'SCALAR'; name: 'String'; ofType: null; }; } }; 'progress': { name: 'progress'; type: { kind: 'SCALAR'; name: 'Float'; ofType: null; } }; 'request': { name: 'request'; type: { kind: 'NON_NULL'; name: never; ofType: { kind: 'OBJECT'; name: 'UpstreamRequest'; ofType: null; }; } }; 'stale': { name: 'stale'; type: { kind: 'NON_NULL'; name: never; ofType: { kind: 'SCALAR'; name: 'Boolean'; ofType: null; }; } }; 'status': { name: 'status'; type: { kind: 'SCALAR'; name: 'String'; ofType: null; } }; 'successCount': { name: 'successCount'; type: { kind: 'SCALAR'; name: 'Int'; ofType: null; } }; 'successes': { name: 'successes'; type: { kind: 'OBJECT'; name: 'BatchRecordConnection'; ofType: null; } }; 'totalCount': { name: 'totalCount'; type: { kind: 'SCALAR'; name: 'Int'; ofType: null; } }; }; };
    'BatchStatusKey': { kind: 'INPUT_OBJECT'; name: 'BatchStatusKey'; isOneOf: false; inputFields: [{ name: 'participantType'; type: { kind: 'NON_NULL'; name: never; ofType: { kind: 'SCALAR'; name: 'String'; ofType: null; }; }; defaultValue: null }, { name: 'batchId'; type: { kind: 'SCALAR'; name: 'ID'; ofType: null; }; defaultValue: null }]; };
    'BatchStatusUpdate': { kind: 'OBJECT'; name: 'BatchStatusUpdate'; fields: { 'batchId': { name: 'batchId'; type: { kind: 'SCALAR'; name: 'ID'; ofType: null; } }; 'batchStatus': { name: 'batchStatus'; type: { kind: 'OBJECT'; name: 'BatchStatus'; ofType: null; } }; 'participantType': { name: 'participantType'; type: { kind: 'NON_NULL'; name: never; ofType: { kind: 'SCALAR'; name: 'String'; ofType: null; }; } }; }; };
    'Boolean': unknown;
    'DateTime': unknown;
    'Float': unknown;
    'ID': unknown;
    'Int': unknown;
    'JSON': unknown;
    'JSONObject': unknown;
    'PageInfo': { kind: 'OBJECT'; name: 'PageInfo'; fields: { 'endCursor': { name: 'endCursor'; type: { kind: 'SCALAR'; name: 'String'; ofType: null; } }; 'hasNextPage': { name: 'hasNextPage'; type: { kind: 'NON_NULL'; name: never; ofType: { kind: 'SCALAR'; name: 'Boolean'; ofType: null; }; } }; 'hasPreviousPage': { name: 'hasPreviousPage'; type: { kind: 'NON_NULL'; name: never; ofType: { kind: 'SCALAR'; name: 'Boolean'; ofType: null; }; } }; 'startCursor': { name: 'startCursor'; type: { kind: 'SCALAR'; name: 'String'; ofType: null; } }; }; };
    'Query': { kind: 'OBJECT'; name: 'Query'; fields: { 'batchStatus': { name: 'batchStatus'; type: { kind: 'OBJECT'; name: 'BatchStatus'; ofType: null; } }; 'batchStatuses': { name: 'batchStatuses'; type: { kind: 'NON_NULL'; name: never; ofType: { kind: 'LIST'; name: never; ofType: { kind: 'NON_NULL'; name: never; ofType: { kind: 'OBJECT'; name: 'BatchStatusUpdate'; ofType: null; }; }; }; } }; }; };
    'String': unknown;
    'Subscription': { kind: 'OBJECT'; name: 'Subscription'; fields: { 'batchStatusUpdates': { name: 'batchStatusUpdates'; type: { kind: 'NON_NULL'; name: never; ofType: { kind: 'OBJECT'; name: 'BatchStatusUpdate'; ofType: null; }; } }; }; };
    'UpstreamRequest': { kind: 'OBJECT'; name: 'UpstreamRequest'; fields: { 'body': { name: 'body'; type: { kind: 'SCALAR'; name: 'JSON'; ofType: null; } }; 'method': { name: 'method'; type: { kind: 'SCALAR'; name: 'String'; ofType: null; } }; 'queryString': { name: 'queryString'; type: { kind: 'SCALAR'; name: 'String'; ofType: null; } }; 'uri': { name: 'uri'; type: { kind: 'SCALAR'; name: 'String'; ofType: null; } }; }; };
};

/** An IntrospectionQuery representation of your schema.
 *
 * @remarks
 * This is an introspection of your schema saved as a file by GraphQLSP.
 * It will automatically be used by `gql.tada` to infer the types of your GraphQL documents.
 * If you need to reuse this data or update your `scalars`, update `tadaOutputLocation` to
 * instead save to a .ts instead of a .d.ts file.
 */
export type introspection = {
  name: never;
  query: 'Query';
  mutation: never;
  subscription: 'Subscription';
  types: introspection_types;
};

import * as gqlTada from 'gql.tada';

declare module 'gql.tada' {
  interface setupSchema {
    introspection: introspection
  }
}