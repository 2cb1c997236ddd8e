/**
 * DescribeCluster: the brokers, the controller, the cluster id (KIP-700).
 *
 * v1 endpoint type, for clients of controllers (KIP-919) · v2 fenced brokers (KIP-1073). Fenced brokers are not listed: an
 * incarnation that is fenced has ended.
 */
import { ErrorCodes, type ErrorCode } from '../../protocol/errors.ts';
import { ApiKeys, type ResponseInputOf } from '../../protocol/messages.gen.ts';
import type { HandlerOf } from '../handler.ts';
import type { Services } from '../services.ts';
import { allClusterOperations, operationsNotAsked } from './authorized-operations.ts';

const BROKERS = 1;
const CONTROLLERS = 2;

export function describeClusterHandler(services: Services): HandlerOf<typeof ApiKeys.DescribeCluster> {
  return {
    apiKey: ApiKeys.DescribeCluster,
    minVersion: 0,
    maxVersion: 2,
    concurrency: 'serial',
    handle(request, { apiVersion }) {
      const endpointType = apiVersion === 0 ? BROKERS : request.endpointType;
      if (endpointType === CONTROLLERS) {
        return refused(ErrorCodes.MISMATCHED_ENDPOINT_TYPE, 'The request was sent to an endpoint of type BROKER, but we wanted an endpoint of type CONTROLLER');
      }
      if (endpointType !== BROKERS) return refused(ErrorCodes.UNSUPPORTED_ENDPOINT_TYPE, `Unsupported endpoint type ${endpointType}`);
      return {
        errorCode: ErrorCodes.NONE,
        clusterId: services.image.clusterId,
        controllerId: services.image.controllerId,
        brokers: services.image.brokers().map(({ node, host, port, rack }) => ({ brokerId: node, host, port, rack: rack ?? null })),
        clusterAuthorizedOperations: request.includeClusterAuthorizedOperations ? allClusterOperations : operationsNotAsked,
      };
    },
  };
}

function refused(errorCode: ErrorCode, errorMessage: string): ResponseInputOf<typeof ApiKeys.DescribeCluster> {
  return { errorCode, errorMessage, clusterId: '', brokers: [] };
}
