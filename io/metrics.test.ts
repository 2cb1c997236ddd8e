import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MemoryMetrics } from './memory-metrics.ts';
import { PrometheusMetrics } from './prometheus-metrics.ts';

test('metrics are rendered in the text format with their labels', async () => {
  const metrics = new PrometheusMetrics({ processMetrics: false });
  metrics.counter('automq_requests_total', 'Requests.', ['api', 'error']).add(2, 'Fetch', 'NONE');
  metrics.counter('automq_plain_total', 'Plain.').add(1);
  metrics.gauge('automq_open', 'Open.', ['listener']).set(3, 'a');
  metrics.histogram('automq_seconds', 'Time.', [0.1, 1], ['api']).observe(0.5, 'Fetch');
  let lag = 4;
  metrics.observedGauge('automq_lag', 'Lag.', () => lag);
  lag = 5;
  const { type, body } = await metrics.render();
  assert.match(type, /text\/plain/);
  for (const line of [
    'automq_requests_total{api="Fetch",error="NONE"} 2',
    'automq_plain_total 1',
    'automq_open{listener="a"} 3',
    'automq_seconds_bucket{le="1",api="Fetch"} 1',
    'automq_lag 5',
  ]) {
    assert.ok(body.split('\n').includes(line), `${line}\n${body}`);
  }
});

test('asking twice for a metric gives the same one; a gauge that is observed anew reads its new self', async () => {
  const metrics = new PrometheusMetrics({ processMetrics: false });
  metrics.counter('c', 'C.').add(1);
  metrics.counter('c', 'C.').add(1);
  metrics.observedGauge('g', 'G.', () => 1);
  metrics.observedGauge('g', 'G.', () => 2);
  const { body } = await metrics.render();
  assert.match(body, /^c 2$/m);
  assert.match(body, /^g 2$/m);
});

test('label values past the bound are counted together', async () => {
  const metrics = new PrometheusMetrics({ processMetrics: false, childrenLimit: 3 });
  const counter = metrics.counter('c', 'C.', ['who']);
  for (let i = 0; i < 10; i++) counter.add(1, `client-${i}`);
  const { body } = await metrics.render();
  assert.equal(body.match(/^c\{/gm)?.length, 4);
  assert.match(body, /^c\{who="_overflow"\} 7$/m);
});

test('a wrong number of label values is a bug that shows', () => {
  const counter = new PrometheusMetrics({ processMetrics: false }).counter('c', 'C.', ['a', 'b']);
  assert.throws(() => counter.add(1, 'only one'), /labels a, b/);
});

test('process metrics have the event loop lag', async () => {
  assert.match((await new PrometheusMetrics().render()).body, /nodejs_eventloop_lag_p99_seconds/);
});

test('memory metrics are read back', () => {
  const metrics = new MemoryMetrics();
  const counter = metrics.counter('c');
  counter.add(1, 'x');
  counter.add(2, 'y');
  metrics.histogram('h').observe(3);
  metrics.observedGauge('o', '', () => 9);
  assert.deepEqual([metrics.value('c', 'x'), metrics.total('c'), metrics.observations('h'), metrics.value('o'), metrics.value('none')], [1, 3, [3], 9, 0]);
});
