/** What configuration can belong to (org.apache.kafka.common.config.ConfigResource.Type), and which broker a request may name. */

export const ResourceTypes = { TOPIC: 2, BROKER: 4, BROKER_LOGGER: 8, CLIENT_METRICS: 16, GROUP: 32 } as const;

/** Kafka's numbers for the types of settings in DescribeConfigs. */
export const configTypeCodes = { boolean: 1, string: 2, int: 3, short: 4, long: 5, double: 6, list: 7, password: 9 } as const;

/** Why a request cannot name this broker resource; undefined when it can. Only its own broker answers for a broker. */
export function brokerNameProblem(name: string, node: number, noun: 'Broker' | 'Node', expected: string): string | undefined {
  if (!/^-?\d{1,10}$/.test(name)) return `${noun} id must be an integer, but it is: ${name}`;
  return Number(name) === node ? undefined : `Unexpected broker id, expected ${expected}${name}`;
}
