/** B54, B56, B57: members that are none, generations that never were, offsets that cannot be. */
import { ApiKeys, type RequestInputOf, type ResponseOf } from '../../../broker/protocol/messages.gen.ts';
import { ask, type BadInput, type Frame, type FrameOrNext, type Place } from '../bad-input.ts';
import { errorName } from '../observation.ts';

const { JoinGroup, SyncGroup, Heartbeat, LeaveGroup, OffsetCommit, OffsetFetch, FindCoordinator, DescribeGroups, DeleteGroups, ListGroups, OffsetDelete } =
  ApiKeys;
type JoinBody = RequestInputOf<typeof JoinGroup>;
type Joined = ResponseOf<typeof JoinGroup>;

export const groupCases: readonly BadInput[] = [...joins(), ...members(), ...syncs(), ...commits(), ...fetches(), ...finds(), ...describes()];

function joinBody(place: Place, change: Partial<JoinBody> = {}): JoinBody {
  return {
    groupId: place.group,
    sessionTimeoutMs: 30_000,
    rebalanceTimeoutMs: 1_000,
    memberId: '',
    protocolType: 'consumer',
    protocols: [{ name: 'range', metadata: Buffer.from('any') }],
    ...change,
  };
}

function join(place: Place, change: Partial<JoinBody> = {}, version = 3): Frame {
  return ask(JoinGroup, version, joinBody(place, change), joined);
}

function joined({ generationId, memberId, members }: Joined): string {
  return `generation ${generationId}, ${memberId === '' ? 'no member id' : 'a member id'}, ${members.length} members`;
}

function inGroup(row: string, name: string, frame: (place: Place) => Frame): BadInput {
  return { row, name, frames: (place) => [frame(place)] };
}

/** The same for a group with one member, which joined in generation 1. */
function inOwnGroup(row: string, name: string, frame: (place: Place, member: Joined) => Frame): BadInput {
  return { row, name, frames: (place): FrameOrNext[] => [join(place), ([member]) => frame(place, member as Joined)] };
}

function joins(): BadInput[] {
  const one = (name: string, change: Partial<JoinBody>, version?: number) => inGroup('B54', `JoinGroup ${name}`, (place) => join(place, change, version));
  const protocols = (count: number) => Array.from({ length: count }, (_, index) => ({ name: `p${index}`, metadata: Buffer.from('any') }));
  return [
    ...[0, -1, 5_999, 1_800_001, 2 ** 31 - 1].map((sessionTimeoutMs) => one(`session timeout ${sessionTimeoutMs}`, { sessionTimeoutMs })),
    ...[0, -1, 2 ** 31 - 1].map((rebalanceTimeoutMs) => one(`rebalance timeout ${rebalanceTimeoutMs}`, { rebalanceTimeoutMs })),
    one('empty group id', { groupId: '' }),
    inGroup('B54', 'JoinGroup group id of 32,767 characters', (place) => join(place, { groupId: place.group.padEnd(32_767, 'g') })),
    one('member id that nobody has', { memberId: 'nobody-1234' }),
    one('member id that nobody has, v9', { memberId: 'nobody-1234' }, 9),
    one('no member id, v4', {}, 4),
    one('no member id, v9', {}, 9),
    one('no protocols', { protocols: [] }),
    one('no protocol type', { protocolType: '' }),
    one('neither protocols nor type', { protocols: [], protocolType: '' }),
    one('1,000 protocols', { protocols: protocols(1_000) }),
    one('the same protocol twice', { protocols: [...protocols(1), ...protocols(1)] }),
    one('protocol without a name', { protocols: [{ name: '', metadata: Buffer.alloc(0) }] }),
    one('10 MiB of metadata', { protocols: [{ name: 'range', metadata: Buffer.alloc(10 << 20) }] }),
    one('empty instance id, v5', { groupInstanceId: '' }, 5),
    one('instance id of 300 characters, v5', { groupInstanceId: 'i'.repeat(300) }, 5),
    one('instance id ".", v5', { groupInstanceId: '.' }, 5),
    one('instance id with a blank, v5', { groupInstanceId: 'a b' }, 5),
    one('unknown member id with instance id, v5', { groupInstanceId: 'i', memberId: 'nobody-1234' }, 5),
    inOwnGroup('B54', 'JoinGroup, other protocol type', (place) => join(place, { protocolType: 'connect' })),
    inOwnGroup('B54', 'JoinGroup, no common protocol', (place) => join(place, { protocols: [{ name: 'other', metadata: Buffer.alloc(0) }] })),
    inOwnGroup('B54', 'JoinGroup again with the member id', (place, { memberId }) => join(place, { memberId })),
  ];
}

function members(): BadInput[] {
  const heartbeat = (place: Place, generationId: number, memberId: string, version = 3) =>
    ask(Heartbeat, version, { groupId: place.group, generationId, memberId });
  const leave = (place: Place, memberIds: readonly string[], groupId = place.group) =>
    ask(
      LeaveGroup,
      4,
      { groupId, members: memberIds.map((memberId) => ({ memberId })) },
      ({ errorCode, members }) => `${errorName(errorCode)}, ${members.length} members`,
    );
  return [
    inGroup('B54', 'Heartbeat in an unknown group', (place) => heartbeat(place, 1, 'nobody')),
    inGroup('B54', 'Heartbeat, empty group id', (place) => heartbeat({ ...place, group: '' }, 1, 'nobody')),
    inGroup('B54', 'Heartbeat, generation −1', (place) => heartbeat(place, -1, '')),
    inOwnGroup('B54', 'Heartbeat of an unknown member', (place) => heartbeat(place, 1, 'nobody')),
    inOwnGroup('B54', 'Heartbeat of another generation', (place, { memberId }) => heartbeat(place, 7, memberId)),
    inOwnGroup('B54', 'Heartbeat while the group waits for SyncGroup', (place, { memberId }) => heartbeat(place, 1, memberId)),
    inOwnGroup('B54', 'Heartbeat with an instance id that it has not', (place, { memberId }) =>
      ask(Heartbeat, 3, { groupId: place.group, generationId: 1, memberId, groupInstanceId: 'other' }),
    ),
    inGroup('B54', 'LeaveGroup, unknown group', (place) => leave(place, ['nobody'])),
    inGroup('B54', 'LeaveGroup, empty group id', (place) => leave(place, ['nobody'], '')),
    inOwnGroup('B54', 'LeaveGroup, unknown members', (place, { memberId }) => leave(place, ['nobody', memberId, memberId])),
    inOwnGroup('B54', 'LeaveGroup, no members', (place) => leave(place, [])),
    inOwnGroup('B54', 'LeaveGroup, unknown member, v0', (place) => ask(LeaveGroup, 0, { groupId: place.group, memberId: 'nobody', members: [] })),
  ];
}

function syncs(): BadInput[] {
  type SyncBody = RequestInputOf<typeof SyncGroup>;
  const sync = (place: Place, memberId: string, change: Partial<SyncBody> = {}, version = 5) =>
    ask(
      SyncGroup,
      version,
      { groupId: place.group, generationId: 1, memberId, protocolType: 'consumer', protocolName: 'range', assignments: [], ...change },
      ({ assignment }) => `${assignment.length} bytes`,
    );
  const given = (memberId: string, bytes: number) => ({ memberId, assignment: Buffer.alloc(bytes) });
  return [
    inGroup('B57', 'SyncGroup, unknown group', (place) => sync(place, 'nobody')),
    inGroup('B57', 'SyncGroup, empty group id', (place) => sync(place, 'nobody', { groupId: '' })),
    inOwnGroup('B57', 'SyncGroup, unknown member', (place) => sync(place, 'nobody')),
    inOwnGroup('B57', 'SyncGroup, other generation', (place, { memberId }) => sync(place, memberId, { generationId: 9 })),
    inOwnGroup('B57', 'SyncGroup, other protocol name', (place, { memberId }) => sync(place, memberId, { protocolName: 'other' })),
    inOwnGroup('B57', 'SyncGroup, other protocol type', (place, { memberId }) => sync(place, memberId, { protocolType: 'connect' })),
    inOwnGroup('B57', 'SyncGroup, null protocol', (place, { memberId }) => sync(place, memberId, { protocolType: null, protocolName: null })),
    inOwnGroup('B57', 'SyncGroup, null protocol, v4', (place, { memberId }) => sync(place, memberId, { protocolType: null, protocolName: null }, 4)),
    inOwnGroup('B57', 'SyncGroup, assignment for unknown members', (place, { memberId }) =>
      sync(place, memberId, { assignments: [given('nobody', 3), given(memberId, 5)] }),
    ),
    inOwnGroup('B57', 'SyncGroup, only for unknown members', (place, { memberId }) => sync(place, memberId, { assignments: [given('nobody', 3)] })),
    inOwnGroup('B57', 'SyncGroup, two assignments for one', (place, { memberId }) =>
      sync(place, memberId, { assignments: [given(memberId, 3), given(memberId, 5)] }),
    ),
    inOwnGroup('B57', 'SyncGroup, 10,000 unknown members', (place, { memberId }) =>
      sync(place, memberId, { assignments: Array.from({ length: 10_000 }, (_, index) => given(`nobody-${index}`, 1)) }),
    ),
    inOwnGroup('B57', 'SyncGroup, assignment of 50 MiB', (place, { memberId }) => sync(place, memberId, { assignments: [given(memberId, 50 << 20)] })),
  ];
}

function commits(): BadInput[] {
  type CommitBody = RequestInputOf<typeof OffsetCommit>;
  type Committed = CommitBody['topics'][number]['partitions'][number];
  const commit = (place: Place, partition: Partial<Committed> = {}, change: Partial<CommitBody> = {}, version = 8) =>
    ask(OffsetCommit, version, {
      groupId: place.group,
      memberId: '',
      topics: [{ name: place.topic, topicId: place.topicId, partitions: [{ partitionIndex: 0, committedOffset: 1, committedMetadata: '', ...partition }] }],
      ...change,
    });
  const one = (name: string, partition: Partial<Committed>, change: Partial<CommitBody> = {}, version = 8) =>
    inGroup('B56', `OffsetCommit ${name}`, (place) => commit(place, partition, change, version));
  return [
    one('metadata of 4,096 bytes', { committedMetadata: 'm'.repeat(4_096) }),
    one('metadata of 4,097 bytes', { committedMetadata: 'm'.repeat(4_097) }),
    one('metadata of 4,096 characters, 8,192 bytes', { committedMetadata: 'é'.repeat(4_096) }),
    one('null metadata', { committedMetadata: null }),
    ...[-1, -5, 2 ** 53 - 1].map((committedOffset) => one(`offset ${committedOffset}`, { committedOffset })),
    ...[-1, 7, 2 ** 31 - 1].map((partitionIndex) => one(`partition ${partitionIndex}`, { partitionIndex })),
    ...[-5, 999].map((committedLeaderEpoch) => one(`leader epoch ${committedLeaderEpoch}`, { committedLeaderEpoch })),
    one('generation 5 of an unknown group', {}, { generationIdOrMemberEpoch: 5, memberId: 'nobody' }),
    one('generation −1 with a member id', {}, { memberId: 'nobody' }),
    one('generation 5 without a member id', {}, { generationIdOrMemberEpoch: 5 }),
    one('no topics', {}, { topics: [] }),
    withoutGroupId(),
    inGroup('B56', 'OffsetCommit unknown topic', (place) => commit({ ...place, topic: place.unknown })),
    inGroup('B56', 'OffsetCommit topic without a name', (place) => commit({ ...place, topic: '' })),
    inGroup('B56', 'OffsetCommit unknown topic id, v10', (place) => commit({ ...place, topicId: 'x'.repeat(21).concat('A') }, {}, {}, 10)),
    inGroup('B56', 'OffsetCommit zero topic id, v10', (place) => commit({ ...place, topicId: 'A'.repeat(22) }, {}, {}, 10)),
    inGroup('B56', 'OffsetCommit 10,000 unknown partitions', (place) =>
      commit(
        place,
        {},
        {
          topics: [
            {
              name: place.topic,
              partitions: Array.from({ length: 10_000 }, (_, index) => ({ partitionIndex: index + 1, committedOffset: 1, committedMetadata: '' })),
            },
          ],
        },
      ),
    ),
    inGroup('B56', 'OffsetCommit one partition twice', (place) =>
      commit(
        place,
        {},
        { topics: [{ name: place.topic, partitions: [1, 2].map((committedOffset) => ({ partitionIndex: 0, committedOffset, committedMetadata: '' })) }] },
      ),
    ),
    inOwnGroup('B56', 'OffsetCommit of an unknown member', (place) => commit(place, {}, { generationIdOrMemberEpoch: 1, memberId: 'nobody' })),
    inOwnGroup('B56', 'OffsetCommit of another generation', (place, { memberId }) => commit(place, {}, { generationIdOrMemberEpoch: 9, memberId })),
    inOwnGroup('B56', 'OffsetCommit while the group waits for SyncGroup', (place, { memberId }) =>
      commit(place, {}, { generationIdOrMemberEpoch: 1, memberId }),
    ),
    inOwnGroup('B56', 'OffsetCommit without member into a group that has some', (place) => commit(place)),
  ];
}

/** All that is asked of the group without a name, which simple consumers of long ago may have: one case, for there is one such group. */
function withoutGroupId(): BadInput {
  return {
    row: 'B56',
    name: 'OffsetCommit, OffsetFetch, DescribeGroups, DeleteGroups, empty group id',
    frames: ({ topic }) => [
      ask(OffsetCommit, 8, {
        groupId: '',
        memberId: '',
        topics: [{ name: topic, partitions: [{ partitionIndex: 0, committedOffset: 5, committedMetadata: '' }] }],
      }),
      ask(
        OffsetFetch,
        8,
        { groupId: '', topics: null, groups: [{ groupId: '', topics: [{ name: topic, partitionIndexes: [0] }] }], requireStable: false },
        fetchedOffsets,
      ),
      ask(DescribeGroups, 5, { groups: [''] }, describedGroups),
      ask(DeleteGroups, 2, { groupsNames: [''] }),
      ask(DescribeGroups, 5, { groups: [''] }, describedGroups),
    ],
  };
}

function fetches(): BadInput[] {
  type Group = NonNullable<RequestInputOf<typeof OffsetFetch>['groups']>[number];
  const fetch = (groups: readonly Group[], version = 9) =>
    ask(OffsetFetch, version, { groupId: '', topics: null, groups, requireStable: false }, fetchedOffsets);
  const old = (groupId: string, name: string, partitionIndexes: readonly number[]) =>
    ask(OffsetFetch, 5, { groupId, topics: [{ name, partitionIndexes }], groups: [] }, ({ topics }) =>
      (topics ?? []).flatMap(({ partitions }) => partitions.map(({ committedOffset }) => committedOffset)).join(' '),
    );
  return [
    inGroup('B56', 'OffsetFetch unknown group', ({ group, topic }) => fetch([{ groupId: group, topics: [{ name: topic, partitionIndexes: [0, 7, -1] }] }])),
    inGroup('B56', 'OffsetFetch all of an unknown group', ({ group }) => fetch([{ groupId: group, topics: null }])),
    inGroup('B56', 'OffsetFetch one group twice', ({ group, topic }) =>
      fetch([0, 1].map(() => ({ groupId: group, topics: [{ name: topic, partitionIndexes: [0] }] }))),
    ),
    inGroup('B56', 'OffsetFetch no groups', () => fetch([])),
    inGroup('B56', 'OffsetFetch unknown member and epoch', ({ group, topic }) =>
      fetch([{ groupId: group, memberId: 'nobody', memberEpoch: 5, topics: [{ name: topic, partitionIndexes: [0] }] }]),
    ),
    inGroup('B56', 'OffsetFetch unknown topic', ({ group, unknown }) => fetch([{ groupId: group, topics: [{ name: unknown, partitionIndexes: [0] }] }])),
    inGroup('B56', 'OffsetFetch v5, unknown group', ({ group, topic }) => old(group, topic, [0, 7])),
    inGroup('B56', 'OffsetFetch v5, empty group id', ({ topic }) => old('', topic, [0])),
    inGroup('B56', 'OffsetFetch unknown topic id, v10', ({ group }) =>
      fetch([{ groupId: group, topics: [{ topicId: 'x'.repeat(21).concat('A'), partitionIndexes: [0] }] }], 10),
    ),
    inGroup('B56', 'OffsetFetch zero topic id, v10', ({ group }) =>
      fetch([{ groupId: group, topics: [{ topicId: 'A'.repeat(22), partitionIndexes: [0] }] }], 10),
    ),
    inGroup('B56', 'OffsetDelete unknown group', ({ group, topic }) =>
      ask(OffsetDelete, 0, { groupId: group, topics: [{ name: topic, partitions: [{ partitionIndex: 0 }] }] }),
    ),
    inGroup('B56', 'OffsetDelete empty group id', ({ topic }) =>
      ask(OffsetDelete, 0, { groupId: '', topics: [{ name: topic, partitions: [{ partitionIndex: 0 }] }] }),
    ),
  ];
}

function fetchedOffsets({ groups }: ResponseOf<typeof OffsetFetch>): string {
  const offsets = groups.map(({ topics }) => topics.flatMap(({ partitions }) => partitions.map(({ committedOffset }) => committedOffset)).join(' '));
  return `offsets [${offsets.join('] [')}]`;
}

function finds(): BadInput[] {
  const one = (name: string, version: number, keyType: number, keys: readonly string[]): BadInput => ({
    row: 'B54',
    name: `FindCoordinator ${name}`,
    frames: () => [ask(FindCoordinator, version, { keyType, ...(version >= 4 ? { coordinatorKeys: keys } : { key: keys[0]! }) })],
  });
  return [
    ...[2, 7, -1].map((type) => one(`v4, type ${type}`, 4, type, ['some-group'])),
    ...[2, 7].map((type) => one(`v3, type ${type}`, 3, type, ['some-group'])),
    one('v4, empty key', 4, 0, ['']),
    one('v3, empty key', 3, 0, ['']),
    one('v4, no keys', 4, 0, []),
    one('v4, one key twice', 4, 0, ['some-group', 'some-group']),
    one('v6, share group key without parts', 6, 2, ['some-group']),
  ];
}

function describes(): BadInput[] {
  return [
    inGroup('B54', 'DescribeGroups unknown, v5', ({ group }) => ask(DescribeGroups, 5, { groups: [group] }, describedGroups)),
    inGroup('B54', 'DescribeGroups unknown, v6', ({ group }) => ask(DescribeGroups, 6, { groups: [group] }, describedGroups)),
    inGroup('B54', 'DescribeGroups one group twice', ({ group }) => ask(DescribeGroups, 5, { groups: [group, group] }, describedGroups)),
    inGroup('B54', 'DeleteGroups unknown, twice', ({ group }) => ask(DeleteGroups, 2, { groupsNames: [group, group] })),
    inOwnGroup('B54', 'DeleteGroups with a member', ({ group }) => ask(DeleteGroups, 2, { groupsNames: [group] })),
    inGroup('B54', 'ListGroups, a state that does not exist', () =>
      ask(ListGroups, 5, { statesFilter: ['Nonsense'], typesFilter: [] }, ({ groups }) => `${groups.length} groups`),
    ),
    inGroup('B54', 'ListGroups, a type that does not exist', () =>
      ask(ListGroups, 5, { statesFilter: [], typesFilter: ['nonsense'] }, ({ groups }) => `${groups.length} groups`),
    ),
  ];
}

function describedGroups({ groups }: ResponseOf<typeof DescribeGroups>): string {
  return groups.map(({ groupState, members }) => `${groupState} with ${members.length}`).join(', ');
}
