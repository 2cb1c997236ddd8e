/** What the Kafka server tells operators. Label values are API names and fixed words, never what a client sent. */
import type { Counter, Histogram, Metrics } from '../../io/metrics.ts';
import type { RequestMemory } from './request-memory.ts';
import type { ResponseMemory } from './response-memory.ts';

/** Why a connection was closed by us. */
export type CloseReason = 'frame-size' | 'bad-request' | 'unsupported' | 'handler' | 'failed' | 'idle' | 'slow-request' | 'memory' | 'too-many' | 'stopping';

export interface ServerMetrics {
  readonly requests: Counter;
  readonly requestSeconds: Histogram;
  /** Handlers that threw: bugs of ours. */
  readonly handlerFailures: Counter;
  readonly closed: Counter;
  readonly receivedBytes: Counter;
  readonly sentBytes: Counter;
}

const latencyBuckets = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

export function serverMetrics(metrics: Metrics): ServerMetrics {
  return {
    requests: metrics.counter('automq_requests_total', 'Requests answered, by API', ['api']),
    requestSeconds: metrics.histogram('automq_request_seconds', 'From the last byte of a request to its answer, by API', latencyBuckets, ['api']),
    handlerFailures: metrics.counter('automq_request_failures_total', 'Requests whose handler failed unexpectedly, by API', ['api']),
    closed: metrics.counter('automq_connections_closed_total', 'Connections that the broker closed, by reason', ['reason']),
    receivedBytes: metrics.counter('automq_received_bytes_total', 'Bytes received from Kafka clients'),
    sentBytes: metrics.counter('automq_sent_bytes_total', 'Bytes of answers to Kafka clients'),
  };
}

export function observeServer(
  metrics: Metrics,
  state: {
    readonly connections: () => number;
    readonly inFlight: () => number;
    readonly requestMemory: RequestMemory;
    readonly responseMemory: ResponseMemory;
  },
): void {
  metrics.observedGauge('automq_connections', 'Open connections of Kafka clients', state.connections);
  metrics.observedGauge('automq_requests_in_flight', 'Requests that wait for their answer', state.inFlight);
  metrics.observedGauge('automq_request_memory_bytes', 'Bytes of requests in memory', () => state.requestMemory.usedBytes);
  metrics.observedGauge('automq_request_memory_waiting', 'Connections paused because the memory for requests is full', () => state.requestMemory.waitingCount);
  metrics.observedGauge('automq_response_memory_bytes', 'Bytes of answers that clients have not read yet', () => state.responseMemory.usedBytes);
}
