/** Topics, configuration, reassignment, features, quotas, client telemetry. Grammar: grammar.ts. */
export const adminMessages = `
CreateTopicsRequest api 19 versions 2-7 flexible 5+
  topics []CreatableTopic
    name string
    numPartitions int32
    replicationFactor int16
    assignments []CreatableReplicaAssignment
      partitionIndex int32
      brokerIds []int32
    configs []CreatableTopicConfig
      name string
      value string?
  timeoutMs int32 = 60000
  validateOnly bool = false

CreateTopicsResponse api 19 versions 2-7 flexible 5+
  throttleTimeMs int32
  topics []CreatableTopicResult
    name string
    topicId uuid 7+
    errorCode int16
    errorMessage string?
    topicConfigErrorCode int16 5+ tag 0
    numPartitions int32 5+ = -1
    replicationFactor int16 5+ = -1
    configs []CreatableTopicConfigs? 5+
      name string
      value string?
      readOnly bool
      configSource int8 = -1
      isSensitive bool

DeleteTopicsRequest api 20 versions 1-6 flexible 4+
  topics []DeleteTopicState 6+
    name string? = null
    topicId uuid
  topicNames []string 1-5
  timeoutMs int32

DeleteTopicsResponse api 20 versions 1-6 flexible 4+
  throttleTimeMs int32
  responses []DeletableTopicResult
    name string?6+
    topicId uuid 6+
    errorCode int16
    errorMessage string? 5+ = null

CreatePartitionsRequest api 37 versions 0-3 flexible 2+
  topics []CreatePartitionsTopic
    name string
    count int32
    assignments []CreatePartitionsAssignment?
      brokerIds []int32
  timeoutMs int32
  validateOnly bool

CreatePartitionsResponse api 37 versions 0-3 flexible 2+
  throttleTimeMs int32
  results []CreatePartitionsTopicResult
    name string
    errorCode int16
    errorMessage string? = null

DescribeConfigsRequest api 32 versions 1-4 flexible 4+
  resources []DescribeConfigsResource
    resourceType int8
    resourceName string
    configurationKeys []string?
  includeSynonyms bool = false
  includeDocumentation bool 3+ = false

DescribeConfigsResponse api 32 versions 1-4 flexible 4+
  throttleTimeMs int32
  results []DescribeConfigsResult
    errorCode int16
    errorMessage string?
    resourceType int8
    resourceName string
    configs []DescribeConfigsResourceResult
      name string
      value string?
      readOnly bool
      configSource int8 = -1
      isSensitive bool
      synonyms []DescribeConfigsSynonym
        name string
        value string?
        source int8
      configType int8 3+ = 0
      documentation string? 3+

AlterConfigsRequest api 33 versions 0-2 flexible 2+
  resources []AlterConfigsResource
    resourceType int8
    resourceName string
    configs []AlterableConfig
      name string
      value string?
  validateOnly bool

AlterConfigsResponse api 33 versions 0-2 flexible 2+
  throttleTimeMs int32
  responses []AlterConfigsResourceResponse
    errorCode int16
    errorMessage string?
    resourceType int8
    resourceName string

IncrementalAlterConfigsRequest api 44 versions 0-1 flexible 1+
  resources []AlterConfigsResource
    resourceType int8
    resourceName string
    configs []AlterableConfig
      name string
      configOperation int8
      value string?
  validateOnly bool

IncrementalAlterConfigsResponse api 44 versions 0-1 flexible 1+
  throttleTimeMs int32
  responses []AlterConfigsResourceResponse
    errorCode int16
    errorMessage string?
    resourceType int8
    resourceName string

ListConfigResourcesRequest api 74 versions 0-1 flexible 0+
  resourceTypes []int8 1+

ListConfigResourcesResponse api 74 versions 0-1 flexible 0+
  throttleTimeMs int32
  errorCode int16
  configResources []ConfigResource
    resourceName string
    resourceType int8 1+ = 16

AlterPartitionReassignmentsRequest api 45 versions 0-1 flexible 0+
  timeoutMs int32 = 60000
  allowReplicationFactorChange bool 1+ = true
  topics []ReassignableTopic
    name string
    partitions []ReassignablePartition
      partitionIndex int32
      replicas []int32? = null

AlterPartitionReassignmentsResponse api 45 versions 0-1 flexible 0+
  throttleTimeMs int32
  allowReplicationFactorChange bool 1+ = true
  errorCode int16
  errorMessage string?
  responses []ReassignableTopicResponse
    name string
    partitions []ReassignablePartitionResponse
      partitionIndex int32
      errorCode int16
      errorMessage string?

ListPartitionReassignmentsRequest api 46 versions 0 flexible 0+
  timeoutMs int32 = 60000
  topics []ListPartitionReassignmentsTopics? = null
    name string
    partitionIndexes []int32

ListPartitionReassignmentsResponse api 46 versions 0 flexible 0+
  throttleTimeMs int32
  errorCode int16
  errorMessage string?
  topics []OngoingTopicReassignment
    name string
    partitions []OngoingPartitionReassignment
      partitionIndex int32
      replicas []int32
      addingReplicas []int32
      removingReplicas []int32

ElectLeadersRequest api 43 versions 0-2 flexible 2+
  electionType int8 1+
  topicPartitions []TopicPartitions?
    topic string
    partitions []int32
  timeoutMs int32 = 60000

ElectLeadersResponse api 43 versions 0-2 flexible 2+
  throttleTimeMs int32
  errorCode int16 1+
  replicaElectionResults []ReplicaElectionResult
    topic string
    partitionResult []PartitionResult
      partitionId int32
      errorCode int16
      errorMessage string?

AlterReplicaLogDirsRequest api 34 versions 1-2 flexible 2+
  dirs []AlterReplicaLogDir
    path string
    topics []AlterReplicaLogDirTopic
      name string
      partitions []int32

AlterReplicaLogDirsResponse api 34 versions 1-2 flexible 2+
  throttleTimeMs int32
  results []AlterReplicaLogDirTopicResult
    topicName string
    partitions []AlterReplicaLogDirPartitionResult
      partitionIndex int32
      errorCode int16

DescribeLogDirsRequest api 35 versions 1-5 flexible 2+
  topics []DescribableLogDirTopic?
    topic string
    partitions []int32

DescribeLogDirsResponse api 35 versions 1-5 flexible 2+
  throttleTimeMs int32
  errorCode int16 3+
  results []DescribeLogDirsResult
    errorCode int16
    logDir string
    topics []DescribeLogDirsTopic
      name string
      partitions []DescribeLogDirsPartition
        partitionIndex int32
        partitionSize int64
        offsetLag int64
        isFutureKey bool
    totalBytes int64 4+ = -1
    usableBytes int64 4+ = -1
    isCordoned bool 5+ = false

DescribeClientQuotasRequest api 48 versions 0-1 flexible 1+
  components []ComponentData
    entityType string
    matchType int8
    match string?
  strict bool

DescribeClientQuotasResponse api 48 versions 0-1 flexible 1+
  throttleTimeMs int32
  errorCode int16
  errorMessage string?
  entries []EntryData?
    entity []EntityData
      entityType string
      entityName string?
    values []ValueData
      key string
      value float64

AlterClientQuotasRequest api 49 versions 0-1 flexible 1+
  entries []EntryData
    entity []EntityData
      entityType string
      entityName string?
    ops []OpData
      key string
      value float64
      remove bool
  validateOnly bool

AlterClientQuotasResponse api 49 versions 0-1 flexible 1+
  throttleTimeMs int32
  entries []EntryData
    errorCode int16
    errorMessage string?
    entity []EntityData
      entityType string
      entityName string?

DescribeQuorumRequest api 55 versions 0-2 flexible 0+
  topics []TopicData
    topicName string
    partitions []PartitionData
      partitionIndex int32

DescribeQuorumResponse api 55 versions 0-2 flexible 0+
  errorCode int16
  errorMessage string? 2+
  topics []TopicData
    topicName string
    partitions []PartitionData
      partitionIndex int32
      errorCode int16
      errorMessage string? 2+
      leaderId int32
      leaderEpoch int32
      highWatermark int64
      currentVoters []ReplicaState
      observers []ReplicaState
  nodes []Node 2+
    nodeId int32
    listeners []Listener
      name string
      host string
      port uint16
  struct ReplicaState
    replicaId int32
    replicaDirectoryId uuid 2+
    logEndOffset int64
    lastFetchTimestamp int64 1+ = -1
    lastCaughtUpTimestamp int64 1+ = -1

UpdateFeaturesRequest api 57 versions 0-2 flexible 0+
  timeoutMs int32 = 60000
  featureUpdates []FeatureUpdateKey
    feature string
    maxVersionLevel int16
    allowDowngrade bool 0
    upgradeType int8 1+ = 1
  validateOnly bool 1+ = false

UpdateFeaturesResponse api 57 versions 0-2 flexible 0+
  throttleTimeMs int32
  errorCode int16
  errorMessage string?
  results []UpdatableFeatureResult 0-1
    feature string
    errorCode int16
    errorMessage string?

UnregisterBrokerRequest api 64 versions 0 flexible 0+
  brokerId int32

UnregisterBrokerResponse api 64 versions 0 flexible 0+
  throttleTimeMs int32
  errorCode int16
  errorMessage string?

GetTelemetrySubscriptionsRequest api 71 versions 0 flexible 0+
  clientInstanceId uuid

GetTelemetrySubscriptionsResponse api 71 versions 0 flexible 0+
  throttleTimeMs int32
  errorCode int16
  clientInstanceId uuid
  subscriptionId int32
  acceptedCompressionTypes []int8
  pushIntervalMs int32
  telemetryMaxBytes int32
  deltaTemporality bool
  requestedMetrics []string

PushTelemetryRequest api 72 versions 0 flexible 0+
  clientInstanceId uuid
  subscriptionId int32
  terminating bool
  compressionType int8
  metrics bytes

PushTelemetryResponse api 72 versions 0 flexible 0+
  throttleTimeMs int32
  errorCode int16

AddRaftVoterRequest api 80 versions 0-1 flexible 0+
  clusterId string?
  timeoutMs int32
  voterId int32
  voterDirectoryId uuid
  listeners []Listener
    name string
    host string
    port uint16
  ackWhenCommitted bool 1+ = true

AddRaftVoterResponse api 80 versions 0-1 flexible 0+
  throttleTimeMs int32
  errorCode int16
  errorMessage string?

RemoveRaftVoterRequest api 81 versions 0 flexible 0+
  clusterId string?
  voterId int32
  voterDirectoryId uuid

RemoveRaftVoterResponse api 81 versions 0 flexible 0+
  throttleTimeMs int32
  errorCode int16
  errorMessage string?
`;
