/**
 * JoinGroup 0–9: become a member, or come back for the next generation; waits until the generation is complete.
 * 1: rebalance timeout of its own (KIP-62) · 4: a member id must be known first (KIP-394) · 5: static members (KIP-345) ·
 * 6: flexible · 7: protocol type in the answer (KIP-559) · 8: reason (KIP-800) · 9: skip assignment (KIP-814).
 */
import { ApiKeys, type JoinGroupRequest, type JoinGroupResponseInput } from '../../../protocol/messages.gen.ts';
import { type ErrorCode, ErrorCodes } from '../../../protocol/errors.ts';
import type { HandlerOf, RequestContext } from '../../../server/handler.ts';
import type { JoinAnswer, MemberProtocol } from '../group.ts';
import type { GroupCoordinator } from '../group-coordinator.ts';
import { newMemberId } from '../member-id.ts';
import { refusedJoin } from '../group-rebalance.ts';
import { fitsRecord, shortened } from '../request-text.ts';

export function joinGroup(groups: GroupCoordinator): HandlerOf<typeof ApiKeys.JoinGroup> {
  return {
    apiKey: ApiKeys.JoinGroup,
    minVersion: 0,
    maxVersion: 9,
    concurrency: 'serial',
    longPoll: true,
    async handle(request, context) {
      return toResponse(await join(groups, request, context), context.apiVersion);
    },
  };
}

function join(groups: GroupCoordinator, request: JoinGroupRequest, context: RequestContext): JoinAnswer | Promise<JoinAnswer> {
  const refuse = (error: ErrorCode) => refusedJoin(error, request.memberId);
  const invalid = errorOf(groups, request);
  if (invalid !== ErrorCodes.NONE) return refuse(invalid);
  const found = groups.find(request.groupId);
  if (found.kind === 'unavailable') return refuse(found.error);
  const { partition } = found;
  if (request.memberId !== '' && !partition.find(request.groupId)) return refuse(ErrorCodes.UNKNOWN_MEMBER_ID);
  const { apiVersion, connection } = context;
  const clientId = shortened(context.clientId ?? '');
  const { waiter, answer } = groups.wait<JoinAnswer>();
  partition.findOrCreate(request.groupId).step({
    kind: 'join',
    waiter,
    memberId: request.memberId,
    groupInstanceId: request.groupInstanceId,
    newMemberId: newMemberId(groups.random, shortened(request.groupInstanceId ?? clientId)),
    clientId,
    clientHost: `/${connection.host}`,
    sessionTimeoutMs: request.sessionTimeoutMs,
    rebalanceTimeoutMs: apiVersion === 0 ? request.sessionTimeoutMs : Math.max(request.rebalanceTimeoutMs, 0),
    protocolType: request.protocolType,
    protocols: copyProtocols(request),
    reason: shortened(request.reason ?? '') || 'not provided',
    requiresKnownMemberId: apiVersion >= 4,
    supportsSkippingAssignment: apiVersion >= 9,
  });
  partition.forgetIfBlank(request.groupId);
  return answer;
}

function errorOf({ settings }: GroupCoordinator, request: JoinGroupRequest): ErrorCode {
  if (request.groupId === '') return ErrorCodes.INVALID_GROUP_ID;
  if (request.sessionTimeoutMs < settings.minSessionTimeoutMs || request.sessionTimeoutMs > settings.maxSessionTimeoutMs)
    return ErrorCodes.INVALID_SESSION_TIMEOUT;
  if (request.protocols.length > settings.maxProtocols) return ErrorCodes.INCONSISTENT_GROUP_PROTOCOL;
  const texts = [request.groupInstanceId ?? '', request.protocolType, ...request.protocols.map(({ name }) => name)];
  if (!texts.every(fitsRecord)) return ErrorCodes.INVALID_REQUEST;
  let metadataBytes = 0;
  for (const { metadata } of request.protocols) metadataBytes += metadata.length;
  return metadataBytes > settings.maxMemberMetadataBytes ? ErrorCodes.INVALID_REQUEST : ErrorCodes.NONE;
}

/** Copies, since the request's bytes are a view of its frame; of a name that comes twice the first counts. */
function copyProtocols(request: JoinGroupRequest): readonly MemberProtocol[] {
  const protocols = new Map<string, MemberProtocol>();
  for (const { name, metadata } of request.protocols) if (!protocols.has(name)) protocols.set(name, { name, metadata: Buffer.from(metadata) });
  return [...protocols.values()];
}

function toResponse(answer: JoinAnswer, apiVersion: number): JoinGroupResponseInput {
  const { error, protocolName, ...rest } = answer;
  // Null is allowed from version 7 on, and then means what '' meant.
  return { ...rest, errorCode: error, protocolName: apiVersion < 7 ? (protocolName ?? '') : protocolName || null };
}
