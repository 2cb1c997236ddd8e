/** Records of `__transaction_state` and `__share_group_state`. Grammar: grammar.ts. */
export const coordinatorRecordsMessages = `
ShareSnapshotKey key 0 versions 0 flexible none
  groupId string
  topicId uuid
  partition int32

ShareSnapshotValue value 0 versions 0 flexible 0+
  snapshotEpoch int32
  stateEpoch int32
  leaderEpoch int32
  startOffset int64
  deliveryCompleteCount int32 tag 0 = -1
  createTimestamp int64
  writeTimestamp int64
  stateBatches []StateBatch
    firstOffset int64
    lastOffset int64
    deliveryState int8
    deliveryCount int16

TransactionLogKey key 0 versions 0 flexible none
  transactionalId string

TransactionLogValue value 0 versions 0-1 flexible 1+
  producerId int64
  previousProducerId int64 1+ tag 0 = -1
  nextProducerId int64 1+ tag 1 = -1
  producerEpoch int16
  nextProducerEpoch int16 1+ tag 3 = -1
  transactionTimeoutMs int32
  transactionStatus int8
  transactionPartitions []PartitionsSchema?
    topic string
    partitionIds []int32
  transactionLastUpdateTimestampMs int64
  transactionStartTimestampMs int64
  clientTransactionVersion int16 1+ tag 2 = 0

ShareUpdateKey key 1 versions 0 flexible none
  groupId string
  topicId uuid
  partition int32

ShareUpdateValue value 1 versions 0 flexible 0+
  snapshotEpoch int32
  leaderEpoch int32
  startOffset int64
  deliveryCompleteCount int32 tag 0 = -1
  stateBatches []StateBatch
    firstOffset int64
    lastOffset int64
    deliveryState int8
    deliveryCount int16
`;
