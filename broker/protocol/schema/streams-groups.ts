/** Streams groups (KIP-1071). Grammar: grammar.ts. */
export const streamsGroupsMessages = `
StreamsGroupHeartbeatRequest api 88 versions 0 flexible 0+
  groupId string
  memberId string
  memberEpoch int32
  endpointInformationEpoch int32
  instanceId string? = null
  rackId string? = null
  rebalanceTimeoutMs int32 = -1
  topology Topology? = null
    epoch int32
    subtopologies []Subtopology
      subtopologyId string
      sourceTopics []string
      sourceTopicRegex []string
      stateChangelogTopics []TopicInfo
      repartitionSinkTopics []string
      repartitionSourceTopics []TopicInfo
      copartitionGroups []CopartitionGroup
        sourceTopics []int16
        sourceTopicRegex []int16
        repartitionSourceTopics []int16
  activeTasks []TaskIds? = null
  standbyTasks []TaskIds? = null
  warmupTasks []TaskIds? = null
  processId string? = null
  userEndpoint Endpoint? = null
  clientTags []KeyValue? = null
  taskOffsets []TaskOffset? = null
  taskEndOffsets []TaskOffset? = null
  shutdownApplication bool = false
  struct KeyValue
    key string
    value string
  struct TopicInfo
    name string
    partitions int32
    replicationFactor int16
    topicConfigs []KeyValue
  struct Endpoint
    host string
    port uint16
  struct TaskOffset
    subtopologyId string
    partition int32
    offset int64
  struct TaskIds
    subtopologyId string
    partitions []int32

StreamsGroupHeartbeatResponse api 88 versions 0 flexible 0+
  throttleTimeMs int32
  errorCode int16
  errorMessage string? = null
  memberId string
  memberEpoch int32
  heartbeatIntervalMs int32
  acceptableRecoveryLag int32
  taskOffsetIntervalMs int32
  status []Status?
  activeTasks []TaskIds? = null
  standbyTasks []TaskIds? = null
  warmupTasks []TaskIds? = null
  endpointInformationEpoch int32
  partitionsByUserEndpoint []EndpointToPartitions? = null
    userEndpoint Endpoint
    activePartitions []TopicPartition
    standbyPartitions []TopicPartition
  struct Status
    statusCode int8
    statusDetail string
  struct TopicPartition
    topic string
    partitions []int32
  struct TaskIds
    subtopologyId string
    partitions []int32
  struct Endpoint
    host string
    port uint16

StreamsGroupDescribeRequest api 89 versions 0 flexible 0+
  groupIds []string
  includeAuthorizedOperations bool

StreamsGroupDescribeResponse api 89 versions 0 flexible 0+
  throttleTimeMs int32
  groups []DescribedGroup
    errorCode int16
    errorMessage string? = null
    groupId string
    groupState string
    groupEpoch int32
    assignmentEpoch int32
    topology Topology? = null
      epoch int32
      subtopologies []Subtopology? = null
        subtopologyId string
        sourceTopics []string
        repartitionSinkTopics []string
        stateChangelogTopics []TopicInfo
        repartitionSourceTopics []TopicInfo
    members []Member
      memberId string
      memberEpoch int32
      instanceId string? = null
      rackId string? = null
      clientId string
      clientHost string
      topologyEpoch int32
      processId string
      userEndpoint Endpoint? = null
      clientTags []KeyValue
      taskOffsets []TaskOffset
      taskEndOffsets []TaskOffset
      assignment Assignment
      targetAssignment Assignment
      isClassic bool
    authorizedOperations int32 = -2147483648
  struct Endpoint
    host string
    port uint16
  struct TaskOffset
    subtopologyId string
    partition int32
    offset int64
  struct Assignment
    activeTasks []TaskIds
    standbyTasks []TaskIds
    warmupTasks []TaskIds
  struct TaskIds
    subtopologyId string
    partitions []int32
  struct KeyValue
    key string
    value string
  struct TopicInfo
    name string
    partitions int32
    replicationFactor int16
    topicConfigs []KeyValue
`;
