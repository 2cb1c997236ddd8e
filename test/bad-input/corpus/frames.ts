/** B01–B17: frames, headers and encodings that no client writes. */
import { ApiKeys } from '../../../broker/protocol/messages.gen.ts';
import { ask, askBytes, type BadInput, type Frame, nonsense, unfinished } from '../bad-input.ts';
import { classicString, compactString, hex, int16, int32, rawFrame, requestFrame, shortened, sized, varint, withTrailing } from '../frames.ts';

const { Produce, Fetch, Metadata, ApiVersions, FindCoordinator, ListOffsets, ListGroups } = ApiKeys;
const noTags = Buffer.alloc(1);
const maxRequestBytes = 104_857_600;

/** Keys that only brokers and controllers use; Kafka 4 serves them on other listeners or no longer at all. */
const innerKeys = { LeaderAndIsr: 4, StopReplica: 5, UpdateMetadata: 6, ControlledShutdown: 7, Vote: 52, BeginQuorumEpoch: 53, EndQuorumEpoch: 54 };
const innerFlexibleKeys = { AlterPartition: 56, Envelope: 58, FetchSnapshot: 59, BrokerRegistration: 62, BrokerHeartbeat: 63, AllocateProducerIds: 67 };
const innerLateKeys = { ControllerRegistration: 70, AssignReplicasToDirs: 73, UpdateRaftVoter: 82 };

export const frameCases: readonly BadInput[] = [
  ...sizes(),
  ...otherProtocols(),
  ...headers(),
  ...apis(),
  ...trailing(),
  ...lengths(),
  ...tags(),
  ...strings(),
  ...ids(),
];

function one(row: string, name: string, frame: Frame): BadInput {
  return { row, name, frames: () => [frame] };
}

function sizes(): BadInput[] {
  return [
    ...[-1, -(2 ** 31)].map((size) => one('B01', `size ${size}`, nonsense(int32(size)))),
    one('B02', 'size 2^31−1, then silence', unfinished(int32(2 ** 31 - 1))),
    one('B02', 'size socket.request.max.bytes + 1, then silence', unfinished(int32(maxRequestBytes + 1))),
    one('B02', 'size socket.request.max.bytes, then silence', unfinished(int32(maxRequestBytes))),
    one('B03', 'two bytes of a size, then silence', unfinished(Buffer.alloc(2))),
    one('B03', 'half of a request, then silence', unfinished(requestFrame(Metadata, 9, { topics: null }).subarray(0, 20))),
  ];
}

function otherProtocols(): BadInput[] {
  const clientHello = hex(`16030100c2 010000be0303 ${'5a'.repeat(32)} 20 ${'a5'.repeat(32)} 0004 13011302 0100 0071 ${'00'.repeat(113)}`);
  const texts = {
    'HTTP GET': 'GET / HTTP/1.1\r\nHost: broker\r\n\r\n',
    'SSH greeting': 'SSH-2.0-OpenSSH_9.6\r\n',
    'PROXY line': 'PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\n',
  };
  return [
    one('B06', 'TLS ClientHello', nonsense(clientHello)),
    ...Object.entries(texts).map(([name, text]) => one('B06', name, nonsense(Buffer.from(text)))),
    one('B06', 'zeros', nonsense(Buffer.alloc(1024))),
    one('B06', 'bytes of 255', nonsense(Buffer.alloc(1024, 0xff))),
  ];
}

function headers(): BadInput[] {
  const header = { apiKey: Metadata, version: 1 };
  return [
    ...[0, 1, 3, 7, 8, 9].map((size) => one('B07', `a frame of ${size} bytes`, nonsense(sized(rawFrame(header).subarray(4, 4 + size))))),
    one('B07', 'client id longer than the frame', nonsense(rawFrame({ ...header, clientIdLength: 500 }))),
    one('B07', 'client id of length −2', nonsense(rawFrame({ ...header, clientIdLength: -2 }))),
    one('B07', 'no body', nonsense(rawFrame(header))),
    one('B07', 'no tagged fields in a flexible header', nonsense(rawFrame({ apiKey: Metadata, version: 9 }))),
    one('B07', 'a body that ends early', nonsense(shortened(requestFrame(Metadata, 1, { topics: [{ name: 'some-topic' }] }), 3))),
    one('B07', 'a flexible body that ends early', nonsense(shortened(requestFrame(Metadata, 9, { topics: [{ name: 'some-topic' }] }), 3))),
  ];
}

function apis(): BadInput[] {
  const badVersions: [string, number, readonly number[]][] = [
    ['Produce', Produce, [-1, 0, 1, 2, 14, 99]],
    ['Fetch', Fetch, [-1, 0, 3, 19, 99]],
    ['Metadata', Metadata, [-1, 14, 32_767]],
    ['FindCoordinator', FindCoordinator, [7]],
  ];
  const software = (name: string, version: string) => ask(ApiVersions, 3, { clientSoftwareName: name, clientSoftwareVersion: version });
  return [
    ...[-1, -32_768, 93, 999, 32_767].map((apiKey) => one('B08', `API key ${apiKey}`, nonsense(rawFrame({ apiKey, version: 0 }, Buffer.alloc(20))))),
    ...Object.entries(innerKeys).map(([name, apiKey]) => one('B08', name, nonsense(rawFrame({ apiKey, version: 0 }, Buffer.alloc(20))))),
    ...Object.entries({ ...innerFlexibleKeys, ...innerLateKeys }).map(([name, apiKey]) =>
      one('B08', name, nonsense(rawFrame({ apiKey, version: 0, tags: noTags }, Buffer.alloc(20)))),
    ),
    ...[-1, 5, 99, 32_767].map((version) =>
      one('B09', `ApiVersions v${version}`, {
        ...askBytes(ApiVersions, 0, rawFrame({ apiKey: ApiVersions, version, tags: noTags }, hex('0261 0262 00'))),
        also: versionsTold,
      }),
    ),
    one('B09', 'ApiVersions v99 without a body', { ...askBytes(ApiVersions, 0, rawFrame({ apiKey: ApiVersions, version: 99 })), also: versionsTold }),
    one('B09', 'ApiVersions v3, no software name', software('', '1')),
    one('B09', 'ApiVersions v3, software name with a blank', software('my client', '1')),
    one('B09', 'ApiVersions v3, software version with a line end', software('client', '1\n2')),
    one('B09', 'ApiVersions v3, software name of a dash', software('-', '1')),
    ...badVersions.flatMap(([name, apiKey, versions]) =>
      versions.map((version) => one('B10', `${name} v${version}`, nonsense(rawFrame({ apiKey, version }, Buffer.alloc(20))))),
    ),
  ];
}

/** The list differs between brokers; that there is one matters. */
function versionsTold(body: { readonly apiKeys: readonly { readonly apiKey: number; readonly minVersion: number; readonly maxVersion: number }[] }): string {
  const own = body.apiKeys.find(({ apiKey }) => apiKey === ApiVersions);
  return `says ApiVersions ${own ? `${own.minVersion}–${own.maxVersion}` : 'nothing'}`;
}

function trailing(): BadInput[] {
  const metadata = (version: number) => requestFrame(Metadata, version, { topics: [], allowAutoTopicCreation: false });
  return [
    ...[1, 9, 12].flatMap((version) => [
      one('B11', `Metadata v${version}, a byte behind the body`, askBytes(Metadata, version, withTrailing(metadata(version), 1))),
      one('B11', `Metadata v${version}, 1 MiB behind the body`, askBytes(Metadata, version, withTrailing(metadata(version), 1 << 20))),
    ]),
    one('B11', 'ApiVersions v0, 100 bytes behind the body', {
      ...askBytes(ApiVersions, 0, withTrailing(requestFrame(ApiVersions, 0, {}), 100)),
      also: versionsTold,
    }),
  ];
}

function lengths(): BadInput[] {
  const classic = (...body: Buffer[]) => rawFrame({ apiKey: Metadata, version: 1 }, ...body);
  const flexible = (...body: Buffer[]) => rawFrame({ apiKey: Metadata, version: 9, tags: noTags }, ...body);
  const rest = hex('00 00 00 00');
  const listOffsets = (topics: Buffer) => rawFrame({ apiKey: ListOffsets, version: 1 }, int32(-1), topics);
  return [
    ...[-2, -(2 ** 31)].map((count) => one('B12', `array of ${count}`, { ...askBytes(Metadata, 1, classic(int32(count))), instead: manyTopics })),
    ...[1, 1_000_000, 2 ** 31 - 1].map((count) => one('B12', `array of ${count} in an empty frame`, nonsense(classic(int32(count))))),
    one('B12', 'null array where there is none', askBytes(ListOffsets, 1, listOffsets(int32(-1)))),
    one('B12', 'null array where there is none, Metadata v0', askBytes(Metadata, 0, rawFrame({ apiKey: Metadata, version: 0 }, int32(-1)))),
    ...['ff ff ff ff 0f', 'ff ff ff ff 7f', 'ff ff ff ff ff 01', 'ff ff ff ff ff ff ff ff ff 01', '80 80 80 80 10'].map((bytes) =>
      one('B12', `compact array length ${bytes}`, { ...askBytes(Metadata, 9, flexible(hex(bytes), rest)), instead: manyTopics }),
    ),
    one('B12', 'compact array length, not the shortest form', askBytes(Metadata, 9, flexible(hex('81 80 80 80 00'), hex('00 00 00 00')))),
    one('B12', 'compact array longer than the frame', nonsense(flexible(varint(1_000_000), rest))),
    one('B12', 'compact string longer than the frame', nonsense(flexible(hex('02 ff7f'), rest))),
    one('B12', 'compact null string where there is none', askBytes(Metadata, 9, flexible(hex('02 00 00'), rest))),
    one('B12', 'classic null string where there is none', askBytes(Metadata, 1, classic(int32(1), int16(-1)))),
    one('B12', 'classic string of length −2', nonsense(classic(int32(1), int16(-2), Buffer.alloc(10)))),
    ...[50_000, 5_000_000].map((count) => one('B13', `${count} empty strings`, askBytes(ListGroups, 4, groupsInStates(count)))),
  ];
}

/** As a null array: all topics. */
function manyTopics({ topics }: { readonly topics: readonly unknown[] }): string {
  return topics.length > 100 ? 'all topics' : `${topics.length} topics`;
}

/** A byte on the wire for each string. */
function groupsInStates(count: number): Buffer {
  return rawFrame({ apiKey: ListGroups, version: 4, tags: noTags }, varint(count + 1), Buffer.alloc(count, 1), noTags);
}

function tags(): BadInput[] {
  const header = (headerTags: Buffer) => askBytes(Metadata, 9, rawFrame({ apiKey: Metadata, version: 9, tags: headerTags }, hex('01 00 00 00 00')));
  const body = (bodyTags: Buffer) => askBytes(Metadata, 9, rawFrame({ apiKey: Metadata, version: 9, tags: noTags }, hex('01 00 00 00'), bodyTags));
  const many = (count: number) => Buffer.concat([varint(count), ...Array.from({ length: count }, (_, tag) => Buffer.concat([varint(tag), varint(0)]))]);
  const places: [string, (tags: Buffer) => Frame][] = [
    ['header', header],
    ['body', body],
  ];
  return places.flatMap(([where, frame]) => [
    one('B14', `an unknown tag in the ${where}`, frame(hex('01 64 03 aabbcc'))),
    one('B14', `tag 2^32 − 1 in the ${where}`, frame(hex('01 ffffffff0f 00'))),
    one('B14', `a tag twice in the ${where}`, frame(hex('02 64 01 aa 64 01 bb'))),
    one('B14', `descending tags in the ${where}`, frame(hex('02 65 01 aa 64 01 bb'))),
    one('B14', `a tag longer than the frame in the ${where}`, frame(hex('01 64 ff7f aa'))),
    one('B14', `2^32 − 1 tags in the ${where}`, frame(hex('ffffffff0f'))),
    one('B14', `100,000 tags in the ${where}`, frame(many(100_000))),
    one('B14', `tag size of 6 bytes in the ${where}`, frame(hex('01 64 808080808000'))),
  ]);
}

function strings(): BadInput[] {
  const metadata = (name: Buffer) => askBytes(Metadata, 4, rawFrame({ apiKey: Metadata, version: 4 }, int32(1), classicString(name), hex('00')));
  const flexible = (name: Buffer) =>
    askBytes(Metadata, 9, rawFrame({ apiKey: Metadata, version: 9, tags: noTags }, varint(2), compactString(name), hex('00 00 00 00 00')));
  const clientId = (id: Buffer | null) => askBytes(Metadata, 4, rawFrame({ apiKey: Metadata, version: 4, clientId: id }, int32(0), hex('00')));
  return [
    one('B15', 'topic name that is no UTF-8', metadata(hex('61 ff c0 af 62'))),
    one('B15', 'topic name with NUL', metadata(hex('61 00 62'))),
    one('B15', 'topic name of 32,767 characters', metadata(Buffer.alloc(32_767, 'a'))),
    one('B15', 'flexible topic name of 32,767 characters', flexible(Buffer.alloc(32_767, 'a'))),
    one('B15', 'flexible topic name of 32,768 characters', flexible(Buffer.alloc(32_768, 'a'))),
    one('B15', 'flexible topic name of 1 MiB', flexible(Buffer.alloc(1 << 20, 'a'))),
    one('B15', 'client id of 32,767 characters', clientId(Buffer.alloc(32_767, 'a'))),
    one('B15', 'client id that is no UTF-8', clientId(hex('ff fe 00 0a 22 5c'))),
    one('B15', 'empty client id', clientId(Buffer.alloc(0))),
    one('B15', 'null client id', clientId(null)),
  ];
}

function ids(): BadInput[] {
  const metadata = (correlationId: number) => ({
    ...ask(Metadata, 4, { topics: [], allowAutoTopicCreation: false }),
    bytes: requestFrame(Metadata, 4, { topics: [], allowAutoTopicCreation: false }, correlationId),
  });
  return [
    ...[-1, 0, -(2 ** 31), 2 ** 31 - 1].map((id) => one('B17', `correlation id ${id}`, metadata(id))),
    { row: 'B17', name: 'one correlation id three times', frames: () => [metadata(5), metadata(5), metadata(5)] },
  ];
}
