/**
 * InitProducerId: an id for an idempotent producer (KIP-98).
 *
 * v2 flexible · v3 the producer's own id and epoch (KIP-360) · v4 PRODUCER_FENCED · v5 transactions v2 (KIP-890).
 * Without a transactional id every call gets a new id. Transactional ids are answered UNSUPPORTED_VERSION until transactions
 * exist: clients then fail at once with a text that says why, where a retriable error would let them wait for a minute.
 */
import { ErrorCodes, type ErrorCode } from '../../protocol/errors.ts';
import { ApiKeys, type RequestOf, type ResponseInputOf } from '../../protocol/messages.gen.ts';
import type { HandlerOf } from '../handler.ts';
import type { Services } from '../services.ts';

type InitRequest = RequestOf<typeof ApiKeys.InitProducerId>;
type InitResponse = ResponseInputOf<typeof ApiKeys.InitProducerId>;

export function initProducerIdHandler(services: Services): HandlerOf<typeof ApiKeys.InitProducerId> {
  return {
    apiKey: ApiKeys.InitProducerId,
    minVersion: 0,
    maxVersion: 5,
    concurrency: 'serial',
    handle(request, { apiVersion }) {
      const refusal = refusalOf(request, apiVersion);
      return refusal === ErrorCodes.NONE ? newProducer(services) : refused(refusal);
    },
  };
}

function refusalOf({ transactionalId, producerId, producerEpoch }: InitRequest, apiVersion: number): ErrorCode {
  if (transactionalId === '') return ErrorCodes.INVALID_REQUEST;
  if (apiVersion >= 3 && (producerId === -1) !== (producerEpoch === -1)) return ErrorCodes.INVALID_REQUEST;
  return transactionalId === null ? ErrorCodes.NONE : ErrorCodes.UNSUPPORTED_VERSION;
}

/** Ids come in blocks from the metadata store; while it is away the client tries again. */
async function newProducer({ producerIds, io }: Services): Promise<InitResponse> {
  try {
    return { errorCode: ErrorCodes.NONE, producerId: await producerIds.next(), producerEpoch: 0 };
  } catch (error) {
    io.logger.warn('no producer id could be given out', { error });
    return refused(ErrorCodes.COORDINATOR_NOT_AVAILABLE);
  }
}

function refused(errorCode: ErrorCode): InitResponse {
  return { errorCode, producerId: -1, producerEpoch: -1 };
}
