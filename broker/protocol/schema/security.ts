/** SASL, ACLs, delegation tokens, SCRAM credentials. Grammar: grammar.ts. */
export const securityMessages = `
SaslHandshakeRequest api 17 versions 0-1 flexible none
  mechanism string

SaslHandshakeResponse api 17 versions 0-1 flexible none
  errorCode int16
  mechanisms []string

SaslAuthenticateRequest api 36 versions 0-2 flexible 2+
  authBytes bytes

SaslAuthenticateResponse api 36 versions 0-2 flexible 2+
  errorCode int16
  errorMessage string?
  authBytes bytes
  sessionLifetimeMs int64 1+ = 0

DescribeAclsRequest api 29 versions 1-3 flexible 2+
  resourceTypeFilter int8
  resourceNameFilter string?
  patternTypeFilter int8 = 3
  principalFilter string?
  hostFilter string?
  operation int8
  permissionType int8

DescribeAclsResponse api 29 versions 1-3 flexible 2+
  throttleTimeMs int32
  errorCode int16
  errorMessage string?
  resources []DescribeAclsResource
    resourceType int8
    resourceName string
    patternType int8 = 3
    acls []AclDescription
      principal string
      host string
      operation int8
      permissionType int8

CreateAclsRequest api 30 versions 1-3 flexible 2+
  creations []AclCreation
    resourceType int8
    resourceName string
    resourcePatternType int8 = 3
    principal string
    host string
    operation int8
    permissionType int8

CreateAclsResponse api 30 versions 1-3 flexible 2+
  throttleTimeMs int32
  results []AclCreationResult
    errorCode int16
    errorMessage string?

DeleteAclsRequest api 31 versions 1-3 flexible 2+
  filters []DeleteAclsFilter
    resourceTypeFilter int8
    resourceNameFilter string?
    patternTypeFilter int8 = 3
    principalFilter string?
    hostFilter string?
    operation int8
    permissionType int8

DeleteAclsResponse api 31 versions 1-3 flexible 2+
  throttleTimeMs int32
  filterResults []DeleteAclsFilterResult
    errorCode int16
    errorMessage string?
    matchingAcls []DeleteAclsMatchingAcl
      errorCode int16
      errorMessage string?
      resourceType int8
      resourceName string
      patternType int8 = 3
      principal string
      host string
      operation int8
      permissionType int8

CreateDelegationTokenRequest api 38 versions 1-3 flexible 2+
  ownerPrincipalType string? 3+
  ownerPrincipalName string? 3+
  renewers []CreatableRenewers
    principalType string
    principalName string
  maxLifetimeMs int64

CreateDelegationTokenResponse api 38 versions 1-3 flexible 2+
  errorCode int16
  principalType string
  principalName string
  tokenRequesterPrincipalType string 3+
  tokenRequesterPrincipalName string 3+
  issueTimestampMs int64
  expiryTimestampMs int64
  maxTimestampMs int64
  tokenId string
  hmac bytes
  throttleTimeMs int32

RenewDelegationTokenRequest api 39 versions 1-2 flexible 2+
  hmac bytes
  renewPeriodMs int64

RenewDelegationTokenResponse api 39 versions 1-2 flexible 2+
  errorCode int16
  expiryTimestampMs int64
  throttleTimeMs int32

ExpireDelegationTokenRequest api 40 versions 1-2 flexible 2+
  hmac bytes
  expiryTimePeriodMs int64

ExpireDelegationTokenResponse api 40 versions 1-2 flexible 2+
  errorCode int16
  expiryTimestampMs int64
  throttleTimeMs int32

DescribeDelegationTokenRequest api 41 versions 1-3 flexible 2+
  owners []DescribeDelegationTokenOwner?
    principalType string
    principalName string

DescribeDelegationTokenResponse api 41 versions 1-3 flexible 2+
  errorCode int16
  tokens []DescribedDelegationToken
    principalType string
    principalName string
    tokenRequesterPrincipalType string 3+
    tokenRequesterPrincipalName string 3+
    issueTimestamp int64
    expiryTimestamp int64
    maxTimestamp int64
    tokenId string
    hmac bytes
    renewers []DescribedDelegationTokenRenewer
      principalType string
      principalName string
  throttleTimeMs int32

DescribeUserScramCredentialsRequest api 50 versions 0 flexible 0+
  users []UserName?
    name string

DescribeUserScramCredentialsResponse api 50 versions 0 flexible 0+
  throttleTimeMs int32
  errorCode int16
  errorMessage string?
  results []DescribeUserScramCredentialsResult
    user string
    errorCode int16
    errorMessage string?
    credentialInfos []CredentialInfo
      mechanism int8
      iterations int32

AlterUserScramCredentialsRequest api 51 versions 0 flexible 0+
  deletions []ScramCredentialDeletion
    name string
    mechanism int8
  upsertions []ScramCredentialUpsertion
    name string
    mechanism int8
    iterations int32
    salt bytes
    saltedPassword bytes

AlterUserScramCredentialsResponse api 51 versions 0 flexible 0+
  throttleTimeMs int32
  results []AlterUserScramCredentialsResult
    user string
    errorCode int16
    errorMessage string?
`;
