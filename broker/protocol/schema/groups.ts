/** Classic and consumer groups (KIP-848): membership, committed offsets. Grammar: grammar.ts. */
export const groupsMessages = `
FindCoordinatorRequest api 10 versions 0-6 flexible 3+
  key string 0-3
  keyType int8 1+ = 0
  coordinatorKeys []string 4+

FindCoordinatorResponse api 10 versions 0-6 flexible 3+
  throttleTimeMs int32 1+
  errorCode int16 0-3
  errorMessage string? 1-3
  nodeId int32 0-3
  host string 0-3
  port int32 0-3
  coordinators []Coordinator 4+
    key string
    nodeId int32
    host string
    port int32
    errorCode int16
    errorMessage string?

JoinGroupRequest api 11 versions 0-9 flexible 6+
  groupId string
  sessionTimeoutMs int32
  rebalanceTimeoutMs int32 1+ = -1
  memberId string
  groupInstanceId string? 5+ = null
  protocolType string
  protocols []JoinGroupRequestProtocol
    name string
    metadata bytes
  reason string? 8+ = null

JoinGroupResponse api 11 versions 0-9 flexible 6+
  throttleTimeMs int32 2+
  errorCode int16
  generationId int32 = -1
  protocolType string? 7+ = null
  protocolName string?7+
  leader string
  skipAssignment bool 9+ = false
  memberId string
  members []JoinGroupResponseMember
    memberId string
    groupInstanceId string? 5+ = null
    metadata bytes

HeartbeatRequest api 12 versions 0-4 flexible 4+
  groupId string
  generationId int32
  memberId string
  groupInstanceId string? 3+ = null

HeartbeatResponse api 12 versions 0-4 flexible 4+
  throttleTimeMs int32 1+
  errorCode int16

LeaveGroupRequest api 13 versions 0-5 flexible 4+
  groupId string
  memberId string 0-2
  members []MemberIdentity 3+
    memberId string
    groupInstanceId string? = null
    reason string? 5+ = null

LeaveGroupResponse api 13 versions 0-5 flexible 4+
  throttleTimeMs int32 1+
  errorCode int16
  members []MemberResponse 3+
    memberId string
    groupInstanceId string?
    errorCode int16

SyncGroupRequest api 14 versions 0-5 flexible 4+
  groupId string
  generationId int32
  memberId string
  groupInstanceId string? 3+ = null
  protocolType string? 5+ = null
  protocolName string? 5+ = null
  assignments []SyncGroupRequestAssignment
    memberId string
    assignment bytes

SyncGroupResponse api 14 versions 0-5 flexible 4+
  throttleTimeMs int32 1+
  errorCode int16
  protocolType string? 5+ = null
  protocolName string? 5+ = null
  assignment bytes

DescribeGroupsRequest api 15 versions 0-6 flexible 5+
  groups []string
  includeAuthorizedOperations bool 3+

DescribeGroupsResponse api 15 versions 0-6 flexible 5+
  throttleTimeMs int32 1+
  groups []DescribedGroup
    errorCode int16
    errorMessage string? 6+ = null
    groupId string
    groupState string
    protocolType string
    protocolData string
    members []DescribedGroupMember
      memberId string
      groupInstanceId string? 4+ = null
      clientId string
      clientHost string
      memberMetadata bytes
      memberAssignment bytes
    authorizedOperations int32 3+ = -2147483648

ListGroupsRequest api 16 versions 0-5 flexible 3+
  statesFilter []string 4+
  typesFilter []string 5+

ListGroupsResponse api 16 versions 0-5 flexible 3+
  throttleTimeMs int32 1+
  errorCode int16
  groups []ListedGroup
    groupId string
    protocolType string
    groupState string 4+
    groupType string 5+

DeleteGroupsRequest api 42 versions 0-2 flexible 2+
  groupsNames []string

DeleteGroupsResponse api 42 versions 0-2 flexible 2+
  throttleTimeMs int32
  results []DeletableGroupResult
    groupId string
    errorCode int16

OffsetCommitRequest api 8 versions 2-10 flexible 8+
  groupId string
  generationIdOrMemberEpoch int32 = -1
  memberId string
  groupInstanceId string? 7+ = null
  retentionTimeMs int64 2-4 = -1
  topics []OffsetCommitRequestTopic
    name string 2-9
    topicId uuid 10+
    partitions []OffsetCommitRequestPartition
      partitionIndex int32
      committedOffset int64
      committedLeaderEpoch int32 6+ = -1
      committedMetadata string?

OffsetCommitResponse api 8 versions 2-10 flexible 8+
  throttleTimeMs int32 3+
  topics []OffsetCommitResponseTopic
    name string 2-9
    topicId uuid 10+
    partitions []OffsetCommitResponsePartition
      partitionIndex int32
      errorCode int16

OffsetFetchRequest api 9 versions 1-10 flexible 6+
  groupId string 1-7
  topics []OffsetFetchRequestTopic?2-7 1-7
    name string
    partitionIndexes []int32
  groups []OffsetFetchRequestGroup 8+
    groupId string
    memberId string? 9+ = null
    memberEpoch int32 9+ = -1
    topics []OffsetFetchRequestTopics?
      name string 8-9
      topicId uuid 10+
      partitionIndexes []int32
  requireStable bool 7+ = false

OffsetFetchResponse api 9 versions 1-10 flexible 6+
  throttleTimeMs int32 3+
  topics []OffsetFetchResponseTopic 1-7
    name string
    partitions []OffsetFetchResponsePartition
      partitionIndex int32
      committedOffset int64
      committedLeaderEpoch int32 5-7 = -1
      metadata string?
      errorCode int16
  errorCode int16 2-7 = 0
  groups []OffsetFetchResponseGroup 8+
    groupId string
    topics []OffsetFetchResponseTopics
      name string 8-9
      topicId uuid 10+
      partitions []OffsetFetchResponsePartitions
        partitionIndex int32
        committedOffset int64
        committedLeaderEpoch int32 = -1
        metadata string?
        errorCode int16
    errorCode int16 = 0

OffsetDeleteRequest api 47 versions 0 flexible none
  groupId string
  topics []OffsetDeleteRequestTopic
    name string
    partitions []OffsetDeleteRequestPartition
      partitionIndex int32

OffsetDeleteResponse api 47 versions 0 flexible none
  errorCode int16
  throttleTimeMs int32
  topics []OffsetDeleteResponseTopic
    name string
    partitions []OffsetDeleteResponsePartition
      partitionIndex int32
      errorCode int16

ConsumerGroupHeartbeatRequest api 68 versions 0-1 flexible 0+
  groupId string
  memberId string
  memberEpoch int32
  instanceId string? = null
  rackId string? = null
  rebalanceTimeoutMs int32 = -1
  subscribedTopicNames []string? = null
  subscribedTopicRegex string? 1+ = null
  serverAssignor string? = null
  topicPartitions []TopicPartitions? = null
    topicId uuid
    partitions []int32

ConsumerGroupHeartbeatResponse api 68 versions 0-1 flexible 0+
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

ConsumerGroupDescribeRequest api 69 versions 0-1 flexible 0+
  groupIds []string
  includeAuthorizedOperations bool

ConsumerGroupDescribeResponse api 69 versions 0-1 flexible 0+
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
      instanceId string? = null
      rackId string? = null
      memberEpoch int32
      clientId string
      clientHost string
      subscribedTopicNames []string
      subscribedTopicRegex string? = null
      assignment Assignment
      targetAssignment Assignment
      memberType int8 1+ = -1
    authorizedOperations int32 = -2147483648
  struct TopicPartitions
    topicId uuid
    topicName string
    partitions []int32
  struct Assignment
    topicPartitions []TopicPartitions
`;
