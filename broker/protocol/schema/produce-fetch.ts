/** Reading and writing records: Produce, Fetch, offsets of partitions, and what a client asks to find them. Grammar: grammar.ts. */
export const produceFetchMessages = `
ProduceRequest api 0 versions 3-13 flexible 9+
  transactionalId string? = null
  acks int16
  timeoutMs int32
  topicData []TopicProduceData
    name string 3-12
    topicId uuid 13+
    partitionData []PartitionProduceData
      index int32
      records records?

ProduceResponse api 0 versions 3-13 flexible 9+
  responses []TopicProduceResponse
    name string 3-12
    topicId uuid 13+
    partitionResponses []PartitionProduceResponse
      index int32
      errorCode int16
      baseOffset int64
      logAppendTimeMs int64 = -1
      logStartOffset int64 5+ = -1
      recordErrors []BatchIndexAndErrorMessage 8+
        batchIndex int32
        batchIndexErrorMessage string? = null
      errorMessage string? 8+ = null
      currentLeader LeaderIdAndEpoch 10+ tag 0
        leaderId int32 = -1
        leaderEpoch int32 = -1
  throttleTimeMs int32 = 0
  nodeEndpoints []NodeEndpoint 10+ tag 0
    nodeId int32
    host string
    port int32
    rack string? = null

FetchRequest api 1 versions 4-18 flexible 12+
  clusterId string? 12+ tag 0 = null
  replicaId int32 4-14 = -1
  replicaState ReplicaState 15+ tag 1
    replicaId int32 = -1
    replicaEpoch int64 = -1
  maxWaitMs int32
  minBytes int32
  maxBytes int32 = 2147483647
  isolationLevel int8 = 0
  sessionId int32 7+ = 0
  sessionEpoch int32 7+ = -1
  topics []FetchTopic
    topic string 4-12
    topicId uuid 13+
    partitions []FetchPartition
      partition int32
      currentLeaderEpoch int32 9+ = -1
      fetchOffset int64
      lastFetchedEpoch int32 12+ = -1
      logStartOffset int64 5+ = -1
      partitionMaxBytes int32
      replicaDirectoryId uuid 17+ tag 0
      highWatermark int64 18+ tag 1 = 9223372036854775807
  forgottenTopicsData []ForgottenTopic 7+
    topic string 7-12
    topicId uuid 13+
    partitions []int32
  rackId string 11+ = ""

FetchResponse api 1 versions 4-18 flexible 12+
  throttleTimeMs int32
  errorCode int16 7+
  sessionId int32 7+ = 0
  responses []FetchableTopicResponse
    topic string 4-12
    topicId uuid 13+
    partitions []PartitionData
      partitionIndex int32
      errorCode int16
      highWatermark int64
      lastStableOffset int64 = -1
      logStartOffset int64 5+ = -1
      divergingEpoch EpochEndOffset 12+ tag 0
        epoch int32 = -1
        endOffset int64 = -1
      currentLeader LeaderIdAndEpoch 12+ tag 1
        leaderId int32 = -1
        leaderEpoch int32 = -1
      snapshotId SnapshotId 12+ tag 2
        endOffset int64 = -1
        epoch int32 = -1
      abortedTransactions []AbortedTransaction?
        producerId int64
        firstOffset int64
      preferredReadReplica int32 11+ = -1
      records records?
  nodeEndpoints []NodeEndpoint 16+ tag 0
    nodeId int32
    host string
    port int32
    rack string? = null

ListOffsetsRequest api 2 versions 1-11 flexible 6+
  replicaId int32
  isolationLevel int8 2+
  topics []ListOffsetsTopic
    name string
    partitions []ListOffsetsPartition
      partitionIndex int32
      currentLeaderEpoch int32 4+ = -1
      timestamp int64
  timeoutMs int32 10+

ListOffsetsResponse api 2 versions 1-11 flexible 6+
  throttleTimeMs int32 2+
  topics []ListOffsetsTopicResponse
    name string
    partitions []ListOffsetsPartitionResponse
      partitionIndex int32
      errorCode int16
      timestamp int64 = -1
      offset int64 = -1
      leaderEpoch int32 4+ = -1

OffsetForLeaderEpochRequest api 23 versions 2-4 flexible 4+
  replicaId int32 3+ = -2
  topics []OffsetForLeaderTopic
    topic string
    partitions []OffsetForLeaderPartition
      partition int32
      currentLeaderEpoch int32 = -1
      leaderEpoch int32

OffsetForLeaderEpochResponse api 23 versions 2-4 flexible 4+
  throttleTimeMs int32
  topics []OffsetForLeaderTopicResult
    topic string
    partitions []EpochEndOffset
      errorCode int16
      partition int32
      leaderEpoch int32 = -1
      endOffset int64 = -1

DeleteRecordsRequest api 21 versions 0-2 flexible 2+
  topics []DeleteRecordsTopic
    name string
    partitions []DeleteRecordsPartition
      partitionIndex int32
      offset int64
  timeoutMs int32

DeleteRecordsResponse api 21 versions 0-2 flexible 2+
  throttleTimeMs int32
  topics []DeleteRecordsTopicResult
    name string
    partitions []DeleteRecordsPartitionResult
      partitionIndex int32
      lowWatermark int64
      errorCode int16

MetadataRequest api 3 versions 0-13 flexible 9+
  topics []MetadataRequestTopic?1+
    topicId uuid 10+
    name string?10+
  allowAutoTopicCreation bool 4+ = true
  includeClusterAuthorizedOperations bool 8-10
  includeTopicAuthorizedOperations bool 8+

MetadataResponse api 3 versions 0-13 flexible 9+
  throttleTimeMs int32 3+
  brokers []MetadataResponseBroker
    nodeId int32
    host string
    port int32
    rack string? 1+ = null
  clusterId string? 2+ = null
  controllerId int32 1+ = -1
  topics []MetadataResponseTopic
    errorCode int16
    name string?12+
    topicId uuid 10+
    isInternal bool 1+ = false
    partitions []MetadataResponsePartition
      errorCode int16
      partitionIndex int32
      leaderId int32
      leaderEpoch int32 7+ = -1
      replicaNodes []int32
      isrNodes []int32
      offlineReplicas []int32 5+
    topicAuthorizedOperations int32 8+ = -2147483648
  clusterAuthorizedOperations int32 8-10 = -2147483648
  errorCode int16 13+

ApiVersionsRequest api 18 versions 0-4 flexible 3+
  clientSoftwareName string 3+
  clientSoftwareVersion string 3+

ApiVersionsResponse api 18 versions 0-4 flexible 3+
  errorCode int16
  apiKeys []ApiVersion
    apiKey int16
    minVersion int16
    maxVersion int16
  throttleTimeMs int32 1+
  supportedFeatures []SupportedFeatureKey 3+ tag 0
    name string
    minVersion int16
    maxVersion int16
  finalizedFeaturesEpoch int64 3+ tag 1 = -1
  finalizedFeatures []FinalizedFeatureKey 3+ tag 2
    name string
    maxVersionLevel int16
    minVersionLevel int16
  zkMigrationReady bool 3+ tag 3 = false

DescribeClusterRequest api 60 versions 0-2 flexible 0+
  includeClusterAuthorizedOperations bool
  endpointType int8 1+ = 1
  includeFencedBrokers bool 2+

DescribeClusterResponse api 60 versions 0-2 flexible 0+
  throttleTimeMs int32
  errorCode int16
  errorMessage string? = null
  endpointType int8 1+ = 1
  clusterId string
  controllerId int32 = -1
  brokers []DescribeClusterBroker
    brokerId int32
    host string
    port int32
    rack string? = null
    isFenced bool 2+
  clusterAuthorizedOperations int32 = -2147483648

DescribeTopicPartitionsRequest api 75 versions 0 flexible 0+
  topics []TopicRequest
    name string
  responsePartitionLimit int32 = 2000
  cursor Cursor? = null
    topicName string
    partitionIndex int32

DescribeTopicPartitionsResponse api 75 versions 0 flexible 0+
  throttleTimeMs int32
  topics []DescribeTopicPartitionsResponseTopic
    errorCode int16
    name string?
    topicId uuid
    isInternal bool = false
    partitions []DescribeTopicPartitionsResponsePartition
      errorCode int16
      partitionIndex int32
      leaderId int32
      leaderEpoch int32 = -1
      replicaNodes []int32
      isrNodes []int32
      eligibleLeaderReplicas []int32? = null
      lastKnownElr []int32? = null
      offlineReplicas []int32
    topicAuthorizedOperations int32 = -2147483648
  nextCursor Cursor? = null
    topicName string
    partitionIndex int32
`;
