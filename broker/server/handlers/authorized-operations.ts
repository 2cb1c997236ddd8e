/** Which operations the client may do, as bits by Kafka's AclOperation code (KIP-430). Without an authorizer: all that exist for the resource. */

export const allTopicOperations = bits(3, 4, 5, 6, 7, 8, 10, 11);
export const allClusterOperations = bits(5, 7, 8, 9, 10, 11, 12);
/** The client did not ask. */
export const operationsNotAsked = -2_147_483_648;

function bits(...codes: readonly number[]): number {
  return codes.reduce((sum, code) => sum | (1 << code), 0);
}
