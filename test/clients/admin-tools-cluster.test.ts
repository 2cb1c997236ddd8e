/** Apache Kafka's own tools for a cluster, against one broker. */
import test, { after, before } from 'node:test';
import {
  clusterIsListed,
  logDirsAreTold,
  noElectionIsNeeded,
  nothingIsReassigned,
  quorumIsDescribed,
  type ToolCluster,
  topicIsReassignedAndRolledBack,
  wrongReassignmentsAreRefused,
} from './admin-tools-cluster.ts';
import { type ClientTarget, startTarget } from './target.ts';

let target: ClientTarget;
let cluster: ToolCluster;

before(async () => {
  target = await startTarget();
  const isApacheKafka = target.kind === 'kafka';
  cluster = { bootstrap: target.bootstrap, nodes: [isApacheKafka ? 1 : 0], isApacheKafka };
});
after(() => target.close());

const timeout = 120_000;

test('a topic is reassigned, and rolled back with what the tool printed', { timeout }, () => topicIsReassignedAndRolledBack(cluster));
test('a cluster at rest has no reassignment to list or cancel', { timeout }, () => nothingIsReassigned(cluster));
test('wrong reassignments are refused and change nothing', { timeout }, () => wrongReassignmentsAreRefused(cluster));
test('who leads needs no election', { timeout }, () => noElectionIsNeeded(cluster));
test('every partition is in the log dirs of one broker', { timeout }, () => logDirsAreTold(cluster));
test('the quorum has the controller in it', { timeout }, () => quorumIsDescribed(cluster));
test('the cluster is named, with its brokers', { timeout }, () => clusterIsListed(cluster));
