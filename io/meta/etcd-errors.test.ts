import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EtcdEndpoints } from './etcd-endpoints.ts';
import { type EtcdVerdict, judgeEtcdError } from './etcd-errors.ts';
import { systemClock } from '../system-clock.ts';

const texts: readonly (readonly [EtcdVerdict, string])[] = [
  ['unknown', '4 DEADLINE_EXCEEDED: Deadline exceeded'],
  ['unknown', '14 UNAVAILABLE: Connection dropped'],
  ['unknown', '14 UNAVAILABLE: etcdserver: leader changed'],
  ['unknown', '14 UNAVAILABLE: etcdserver: request timed out'],
  ['unknown', '2 UNKNOWN: context canceled'],
  ['unknown', '13 INTERNAL: Received RST_STREAM with code 2'],
  ['unknown', '1 CANCELLED: Call cancelled'],
  ['unknown', '8 RESOURCE_EXHAUSTED: etcdserver: too many requests'],
  ['unknown', '3 INVALID_ARGUMENT: etcdserver: revision of auth store is old'],
  ['unknown', 'something else'],
  ['not-sent', '14 UNAVAILABLE: No connection established. Last error: Error: connect ECONNREFUSED 127.0.0.1:1'],
  ['not-sent', '14 UNAVAILABLE: Channel closed before call started'],
  ['refused', '8 RESOURCE_EXHAUSTED: etcdserver: mvcc: database space exceeded'],
  ['refused', '3 INVALID_ARGUMENT: etcdserver: request is too large'],
  ['refused', '3 INVALID_ARGUMENT: etcdserver: authentication failed, invalid user ID or password'],
  ['refused', '7 PERMISSION_DENIED: etcdserver: permission denied'],
  ['refused', '5 NOT_FOUND: etcdserver: requested lease not found'],
  ['refused', 'Lease 5 NOT_FOUND: etcdserver: requested lease not found is expired or revoked'],
  ['refused', '16 UNAUTHENTICATED: etcdserver: invalid auth token'],
  ['wrong-revision', '11 OUT_OF_RANGE: etcdserver: mvcc: required revision has been compacted'],
  ['answer-too-large', '8 RESOURCE_EXHAUSTED: Received message larger than max (9 vs. 8)'],
];

for (const [verdict, text] of texts) {
  test(`${text} means ${verdict}`, () => assert.equal(judgeEtcdError(new Error(text)), verdict));
}

const badEndpoints: readonly (readonly [readonly string[], RegExp])[] = [
  [[], /no etcd endpoint/],
  [['etcd:2379'], /not an etcd endpoint: etcd:2379; expected http/],
  [['http://etcd'], /expected http/],
  [['http://root:hunter2@etcd:2379'], /^(?!.*hunter2).*settings of their own/],
  [['http://a:1', 'https://b:1'], /not mixed/],
];

for (const [endpoints, expected] of badEndpoints) {
  test(`the endpoints ${JSON.stringify(endpoints)} are refused`, () => {
    assert.throws(() => new EtcdEndpoints({ endpoints, clock: systemClock, callDeadlineMs: 1_000 }), expected);
  });
}
