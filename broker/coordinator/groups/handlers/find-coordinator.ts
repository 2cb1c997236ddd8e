/**
 * FindCoordinator 0–6: which broker answers for a group. 1: transactional ids too, error message · 3: flexible · 4: many
 * keys at once (KIP-699) · 5: new retriable errors · 6: share groups (KIP-932).
 * Left out: transactions and share groups have no coordinator yet.
 */
import { ApiKeys } from '../../../protocol/messages.gen.ts';
import { type ErrorCode, ErrorCodes } from '../../../protocol/errors.ts';
import type { HandlerOf } from '../../../server/handler.ts';
import type { GroupCoordinator } from '../group-coordinator.ts';

const groupKey = 0;
const transactionKey = 1;

export function findCoordinator(groups: GroupCoordinator): HandlerOf<typeof ApiKeys.FindCoordinator> {
  return {
    apiKey: ApiKeys.FindCoordinator,
    minVersion: 0,
    maxVersion: 6,
    concurrency: 'serial',
    handle(request, { apiVersion }) {
      if (apiVersion >= 4) return { coordinators: request.coordinatorKeys.map((key) => ({ key, ...coordinatorOf(groups, request.keyType, key) })) };
      return coordinatorOf(groups, request.keyType, request.key);
    },
  };
}

function coordinatorOf(groups: GroupCoordinator, keyType: number, key: string) {
  if (keyType === transactionKey) return nobody(ErrorCodes.COORDINATOR_NOT_AVAILABLE, 'transactions are not supported yet');
  if (keyType !== groupKey) return nobody(ErrorCodes.INVALID_REQUEST, `there is no coordinator of type ${keyType}`);
  const broker = groups.offsetsTopic.coordinatorOf(key);
  if (!broker) return nobody(ErrorCodes.COORDINATOR_NOT_AVAILABLE, 'The coordinator is not available.');
  const errorCode: ErrorCode = ErrorCodes.NONE;
  return { errorCode, errorMessage: '', nodeId: broker.node as number, host: broker.host, port: broker.port };
}

function nobody(errorCode: ErrorCode, errorMessage: string) {
  return { errorCode, errorMessage, nodeId: -1, host: '', port: -1 };
}
