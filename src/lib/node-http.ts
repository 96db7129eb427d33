import { createRequire } from 'node:module';

/**
 * Of `node:http`, but not by import: for that Node reads all that the module exports, and loads fetch and WebSocket,
 * which is a tenth of a start.
 */
export const { createServer, get, request, STATUS_CODES }: typeof import('node:http') =
  createRequire(import.meta.url)('node:http');
