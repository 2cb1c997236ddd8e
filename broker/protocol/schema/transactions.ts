/** Idempotent producers and transactions (KIP-98, KIP-360, KIP-890). Grammar: grammar.ts. */
export const transactionsMessages = `
InitProducerIdRequest api 22 versions 0-6 flexible 2+ unstable
  transactionalId string?
  transactionTimeoutMs int32
  producerId int64 3+ = -1
  producerEpoch int16 3+ = -1
  enable2Pc bool 6+ = false
  keepPreparedTxn bool 6+ = false

InitProducerIdResponse api 22 versions 0-6 flexible 2+
  throttleTimeMs int32
  errorCode int16
  producerId int64 = -1
  producerEpoch int16
  ongoingTxnProducerId int64 6+ = -1
  ongoingTxnProducerEpoch int16 6+ = -1

AddPartitionsToTxnRequest api 24 versions 0-5 flexible 3+
  transactions []AddPartitionsToTxnTransaction 4+
    transactionalId string
    producerId int64
    producerEpoch int16
    verifyOnly bool = false
    topics []AddPartitionsToTxnTopic
  v3AndBelowTransactionalId string 0-3
  v3AndBelowProducerId int64 0-3
  v3AndBelowProducerEpoch int16 0-3
  v3AndBelowTopics []AddPartitionsToTxnTopic 0-3
  struct AddPartitionsToTxnTopic
    name string
    partitions []int32

AddPartitionsToTxnResponse api 24 versions 0-5 flexible 3+
  throttleTimeMs int32
  errorCode int16 4+
  resultsByTransaction []AddPartitionsToTxnResult 4+
    transactionalId string
    topicResults []AddPartitionsToTxnTopicResult
  resultsByTopicV3AndBelow []AddPartitionsToTxnTopicResult 0-3
  struct AddPartitionsToTxnTopicResult
    name string
    resultsByPartition []AddPartitionsToTxnPartitionResult
  struct AddPartitionsToTxnPartitionResult
    partitionIndex int32
    partitionErrorCode int16

AddOffsetsToTxnRequest api 25 versions 0-4 flexible 3+
  transactionalId string
  producerId int64
  producerEpoch int16
  groupId string

AddOffsetsToTxnResponse api 25 versions 0-4 flexible 3+
  throttleTimeMs int32
  errorCode int16

EndTxnRequest api 26 versions 0-5 flexible 3+
  transactionalId string
  producerId int64
  producerEpoch int16
  committed bool

EndTxnResponse api 26 versions 0-5 flexible 3+
  throttleTimeMs int32
  errorCode int16
  producerId int64 5+ = -1
  producerEpoch int16 5+ = -1

WriteTxnMarkersRequest api 27 versions 1-2 flexible 1+
  markers []WritableTxnMarker
    producerId int64
    producerEpoch int16
    transactionResult bool
    topics []WritableTxnMarkerTopic
      name string
      partitionIndexes []int32
    coordinatorEpoch int32
    transactionVersion int8 2+ = 0

WriteTxnMarkersResponse api 27 versions 1-2 flexible 1+
  markers []WritableTxnMarkerResult
    producerId int64
    topics []WritableTxnMarkerTopicResult
      name string
      partitions []WritableTxnMarkerPartitionResult
        partitionIndex int32
        errorCode int16

TxnOffsetCommitRequest api 28 versions 0-5 flexible 3+
  transactionalId string
  groupId string
  producerId int64
  producerEpoch int16
  generationId int32 3+ = -1
  memberId string 3+ = ""
  groupInstanceId string? 3+ = null
  topics []TxnOffsetCommitRequestTopic
    name string
    partitions []TxnOffsetCommitRequestPartition
      partitionIndex int32
      committedOffset int64
      committedLeaderEpoch int32 2+ = -1
      committedMetadata string?

TxnOffsetCommitResponse api 28 versions 0-5 flexible 3+
  throttleTimeMs int32
  topics []TxnOffsetCommitResponseTopic
    name string
    partitions []TxnOffsetCommitResponsePartition
      partitionIndex int32
      errorCode int16

DescribeProducersRequest api 61 versions 0 flexible 0+
  topics []TopicRequest
    name string
    partitionIndexes []int32

DescribeProducersResponse api 61 versions 0 flexible 0+
  throttleTimeMs int32
  topics []TopicResponse
    name string
    partitions []PartitionResponse
      partitionIndex int32
      errorCode int16
      errorMessage string? = null
      activeProducers []ProducerState
        producerId int64
        producerEpoch int32
        lastSequence int32 = -1
        lastTimestamp int64 = -1
        coordinatorEpoch int32
        currentTxnStartOffset int64 = -1

DescribeTransactionsRequest api 65 versions 0 flexible 0+
  transactionalIds []string

DescribeTransactionsResponse api 65 versions 0 flexible 0+
  throttleTimeMs int32
  transactionStates []TransactionState
    errorCode int16
    transactionalId string
    transactionState string
    transactionTimeoutMs int32
    transactionStartTimeMs int64
    producerId int64
    producerEpoch int16
    topics []TopicData
      topic string
      partitions []int32

ListTransactionsRequest api 66 versions 0-2 flexible 0+
  stateFilters []string
  producerIdFilters []int64
  durationFilter int64 1+ = -1
  transactionalIdPattern string? 2+ = null

ListTransactionsResponse api 66 versions 0-2 flexible 0+
  throttleTimeMs int32
  errorCode int16
  unknownStateFilters []string
  transactionStates []TransactionState
    transactionalId string
    producerId int64
    transactionState string
`;
