import type { IncomingMessage, ServerResponse } from 'node:http';
import { respond } from './respond.ts';

/** Where the metrics are shown. */
export const METRICS_PATH = '/metrics';

/** Metrics, as text. */
export interface Metrics {
  /** All of them as they are now, in the format that an `accept` header wants most. */
  scrape(accept: string | undefined): Promise<{ contentType: string; body: string }>;
}

/** Rejects for a fault of the gateway alone. */
export async function respondMetrics(
  metrics: Metrics,
  { method, headers }: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { contentType, body } = await metrics.scrape(headers.accept);
  const ofAnswer = ['content-type', contentType, 'cache-control', 'no-store'];
  respond(response, 200, ofAnswer, body, method === 'HEAD');
}
