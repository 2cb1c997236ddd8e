/** Headers of requests and responses, embedded protocols of the classic groups, control records, principals. Grammar: grammar.ts. */
export const embeddedMessages = `
ConsumerProtocolAssignment data versions 0-3 flexible none
  assignedPartitions []TopicPartition
    topic string
    partitions []int32
  userData bytes? = null

ConsumerProtocolSubscription data versions 0-3 flexible none
  topics []string
  userData bytes? = null
  ownedPartitions []TopicPartition 1+
    topic string
    partitions []int32
  generationId int32 2+ = -1
  rackId string? 3+ = null

ControlRecordTypeSchema data versions 0 flexible none
  type int16

DefaultPrincipalData data versions 0 flexible 0+
  type string
  name string
  tokenAuthenticated bool

EndTxnMarker data versions 0 flexible none
  coordinatorEpoch int32

KRaftVersionRecord data versions 0 flexible 0+
  version int16
  kRaftVersion int16

LeaderChangeMessage data versions 0-1 flexible 0+
  version int16
  leaderId int32
  voters []Voter
  grantingVoters []Voter
  struct Voter
    voterId int32
    voterDirectoryId uuid 1+

QuorumStateData data versions 0-1 flexible 0+
  clusterId string 0
  leaderId int32 = -1
  leaderEpoch int32 = -1
  votedId int32 = -1
  votedDirectoryId uuid 1+
  appliedOffset int64 0
  currentVoters []Voter? 0
    voterId int32

RequestHeader header versions 1-2 flexible 2+
  requestApiKey int16
  requestApiVersion int16
  correlationId int32
  clientId string? classic

ResponseHeader header versions 0-1 flexible 1+
  correlationId int32

SnapshotFooterRecord data versions 0 flexible 0+
  version int16

SnapshotHeaderRecord data versions 0 flexible 0+
  version int16
  lastContainedLogTimestamp int64

VotersRecord data versions 0 flexible 0+
  version int16
  voters []Voter
    voterId int32
    voterDirectoryId uuid
    endpoints []Endpoint
      name string
      host string
      port uint16
    kRaftVersionFeature KRaftVersionFeature
      minSupportedVersion int16
      maxSupportedVersion int16
`;
