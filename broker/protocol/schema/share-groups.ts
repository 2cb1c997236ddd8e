/** Share groups (KIP-932), their state and offsets. Grammar: grammar.ts. */
export const shareGroupsMessages = `
ShareGroupHeartbeatRequest api 76 versions 1 flexible 0+
  groupId string
  memberId string
  memberEpoch int32
  rackId string? = null
  subscribedTopicNames []string? = null

ShareGroupHeartbeatResponse api 76 versions 1 flexible 0+
  throttleTimeMs int32
  errorCode int16
  errorMessage string? = null
  memberId string? = null
  memberEpoch int32
  heartbeatIntervalMs int32
  assignment Assignment? = null
    topicPartitions []TopicPartitions
  struct TopicPartitions
    topicId uuid
    partitions []int32

ShareGroupDescribeRequest api 77 versions 1 flexible 0+
  groupIds []string
  includeAuthorizedOperations bool

ShareGroupDescribeResponse api 77 versions 1 flexible 0+
  throttleTimeMs int32
  groups []DescribedGroup
    errorCode int16
    errorMessage string? = null
    groupId string
    groupState string
    groupEpoch int32
    assignmentEpoch int32
    assignorName string
    members []Member
      memberId string
      rackId string? = null
      memberEpoch int32
      clientId string
      clientHost string
      subscribedTopicNames []string
      assignment Assignment
    authorizedOperations int32 = -2147483648
  struct TopicPartitions
    topicId uuid
    topicName string
    partitions []int32
  struct Assignment
    topicPartitions []TopicPartitions

ShareFetchRequest api 78 versions 1-2 flexible 0+
  groupId string? = null
  memberId string?
  shareSessionEpoch int32
  maxWaitMs int32
  minBytes int32
  maxBytes int32 = 2147483647
  maxRecords int32
  batchSize int32
  shareAcquireMode int8 2+ = 0
  isRenewAck bool 2+ = false
  topics []FetchTopic
    topicId uuid
    partitions []FetchPartition
      partitionIndex int32
      acknowledgementBatches []AcknowledgementBatch
        firstOffset int64
        lastOffset int64
        acknowledgeTypes []int8
  forgottenTopicsData []ForgottenTopic
    topicId uuid
    partitions []int32

ShareFetchResponse api 78 versions 1-2 flexible 0+
  throttleTimeMs int32
  errorCode int16
  errorMessage string? = null
  acquisitionLockTimeoutMs int32
  responses []ShareFetchableTopicResponse
    topicId uuid
    partitions []PartitionData
      partitionIndex int32
      errorCode int16
      errorMessage string? = null
      acknowledgeErrorCode int16
      acknowledgeErrorMessage string? = null
      currentLeader LeaderIdAndEpoch
        leaderId int32
        leaderEpoch int32
      records records
      acquiredRecords []AcquiredRecords
        firstOffset int64
        lastOffset int64
        deliveryCount int16
  nodeEndpoints []NodeEndpoint
    nodeId int32
    host string
    port int32
    rack string? = null

ShareAcknowledgeRequest api 79 versions 1-2 flexible 0+
  groupId string? = null
  memberId string?
  shareSessionEpoch int32
  isRenewAck bool 2+ = false
  topics []AcknowledgeTopic
    topicId uuid
    partitions []AcknowledgePartition
      partitionIndex int32
      acknowledgementBatches []AcknowledgementBatch
        firstOffset int64
        lastOffset int64
        acknowledgeTypes []int8

ShareAcknowledgeResponse api 79 versions 1-2 flexible 0+
  throttleTimeMs int32
  errorCode int16
  errorMessage string? = null
  acquisitionLockTimeoutMs int32 2+
  responses []ShareAcknowledgeTopicResponse
    topicId uuid
    partitions []PartitionData
      partitionIndex int32
      errorCode int16
      errorMessage string? = null
      currentLeader LeaderIdAndEpoch
        leaderId int32
        leaderEpoch int32
  nodeEndpoints []NodeEndpoint
    nodeId int32
    host string
    port int32
    rack string? = null

InitializeShareGroupStateRequest api 83 versions 0 flexible 0+
  groupId string
  topics []InitializeStateData
    topicId uuid
    partitions []PartitionData
      partition int32
      stateEpoch int32
      startOffset int64

InitializeShareGroupStateResponse api 83 versions 0 flexible 0+
  results []InitializeStateResult
    topicId uuid
    partitions []PartitionResult
      partition int32
      errorCode int16
      errorMessage string? = null

ReadShareGroupStateRequest api 84 versions 0 flexible 0+
  groupId string
  topics []ReadStateData
    topicId uuid
    partitions []PartitionData
      partition int32
      leaderEpoch int32

ReadShareGroupStateResponse api 84 versions 0 flexible 0+
  results []ReadStateResult
    topicId uuid
    partitions []PartitionResult
      partition int32
      errorCode int16
      errorMessage string? = null
      stateEpoch int32
      startOffset int64
      stateBatches []StateBatch
        firstOffset int64
        lastOffset int64
        deliveryState int8
        deliveryCount int16

WriteShareGroupStateRequest api 85 versions 0-1 flexible 0+
  groupId string
  topics []WriteStateData
    topicId uuid
    partitions []PartitionData
      partition int32
      stateEpoch int32
      leaderEpoch int32
      startOffset int64
      deliveryCompleteCount int32 1+ = -1
      stateBatches []StateBatch
        firstOffset int64
        lastOffset int64
        deliveryState int8
        deliveryCount int16

WriteShareGroupStateResponse api 85 versions 0-1 flexible 0+
  results []WriteStateResult
    topicId uuid
    partitions []PartitionResult
      partition int32
      errorCode int16
      errorMessage string? = null

DeleteShareGroupStateRequest api 86 versions 0 flexible 0+
  groupId string
  topics []DeleteStateData
    topicId uuid
    partitions []PartitionData
      partition int32

DeleteShareGroupStateResponse api 86 versions 0 flexible 0+
  results []DeleteStateResult
    topicId uuid
    partitions []PartitionResult
      partition int32
      errorCode int16
      errorMessage string? = null

ReadShareGroupStateSummaryRequest api 87 versions 0-1 flexible 0+
  groupId string
  topics []ReadStateSummaryData
    topicId uuid
    partitions []PartitionData
      partition int32
      leaderEpoch int32

ReadShareGroupStateSummaryResponse api 87 versions 0-1 flexible 0+
  results []ReadStateSummaryResult
    topicId uuid
    partitions []PartitionResult
      partition int32
      errorCode int16
      errorMessage string? = null
      stateEpoch int32
      leaderEpoch int32
      startOffset int64
      deliveryCompleteCount int32 1+ = -1

DescribeShareGroupOffsetsRequest api 90 versions 0-1 flexible 0+
  groups []DescribeShareGroupOffsetsRequestGroup
    groupId string
    topics []DescribeShareGroupOffsetsRequestTopic?
      topicName string
      partitions []int32

DescribeShareGroupOffsetsResponse api 90 versions 0-1 flexible 0+
  throttleTimeMs int32
  groups []DescribeShareGroupOffsetsResponseGroup
    groupId string
    topics []DescribeShareGroupOffsetsResponseTopic
      topicName string
      topicId uuid
      partitions []DescribeShareGroupOffsetsResponsePartition
        partitionIndex int32
        startOffset int64
        leaderEpoch int32
        lag int64 1+ = -1
        errorCode int16
        errorMessage string? = null
    errorCode int16
    errorMessage string? = null

AlterShareGroupOffsetsRequest api 91 versions 0 flexible 0+
  groupId string
  topics []AlterShareGroupOffsetsRequestTopic
    topicName string
    partitions []AlterShareGroupOffsetsRequestPartition
      partitionIndex int32
      startOffset int64

AlterShareGroupOffsetsResponse api 91 versions 0 flexible 0+
  throttleTimeMs int32
  errorCode int16
  errorMessage string? = null
  responses []AlterShareGroupOffsetsResponseTopic
    topicName string
    topicId uuid
    partitions []AlterShareGroupOffsetsResponsePartition
      partitionIndex int32
      errorCode int16
      errorMessage string? = null

DeleteShareGroupOffsetsRequest api 92 versions 0 flexible 0+
  groupId string
  topics []DeleteShareGroupOffsetsRequestTopic
    topicName string

DeleteShareGroupOffsetsResponse api 92 versions 0 flexible 0+
  throttleTimeMs int32
  errorCode int16
  errorMessage string? = null
  responses []DeleteShareGroupOffsetsResponseTopic
    topicName string
    topicId uuid
    errorCode int16
    errorMessage string? = null
`;
