/** Every setting of a broker. */
export interface BrokerConfig {
  readonly nodeId: number;
}
