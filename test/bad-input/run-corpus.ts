/** Sends the corpus to a broker and writes down what it did. The same for any broker: nothing in here expects anything. */
import { apiOf } from '../../broker/protocol/apis.ts';
import { decodeResponse } from '../../broker/protocol/frames.ts';
import { type ApiKey, ApiKeys } from '../../broker/protocol/messages.gen.ts';
import { ProtocolError } from '../../broker/protocol/protocol-error.ts';
import { type BadInput, caseName, type Frame, type Place } from './bad-input.ts';
import { requestFrame } from './frames.ts';
import { errorLines, type Observation, withoutNames } from './observation.ts';
import { setStage } from './stage.ts';
import { type Address, WireClient } from './wire-client.ts';

export interface CorpusRun {
  /** By name of the case. */
  readonly observations: ReadonlyMap<string, Observation>;
  /** The slowest case, from its first byte to its last answer. */
  readonly slowest: { readonly name: string; readonly tookMs: number };
}

export interface RunOptions {
  /** How long an answer or a close may take before the case says `hangs`. */
  readonly patienceMs: number;
  /** How long to look at a connection whose frame is unfinished before ending it. */
  readonly silenceMs: number;
  /** Cases at one time. */
  readonly parallel: number;
}

const probeId = 0x7fff_fffe;

export async function runCorpus(address: Address, cases: readonly BadInput[], options: RunOptions): Promise<CorpusRun> {
  const places = await setStage(address, cases, Date.now().toString(36));
  const observations = new Map<string, Observation>();
  let slowest = { name: '', tookMs: 0 };
  let next = 0;
  const worker = async () => {
    while (next < cases.length) {
      const index = next++;
      const name = caseName(cases[index]!);
      const since = performance.now();
      observations.set(name, await observe(address, cases[index]!, places[index]!, options));
      const tookMs = performance.now() - since;
      if (tookMs > slowest.tookMs) slowest = { name, tookMs };
    }
  };
  await Promise.all(Array.from({ length: options.parallel }, worker));
  return { observations, slowest };
}

async function observe(address: Address, sample: BadInput, place: Place, options: RunOptions): Promise<Observation> {
  const client = await WireClient.connect(address);
  try {
    const lines: string[] = [];
    const answers: unknown[] = [];
    for (const step of sample.frames(place)) {
      const frame = typeof step === 'function' ? step(answers) : step;
      const seen = await exchange(client, frame, place, options);
      answers.push(seen.body);
      lines.push(...seen.lines.map((line) => withoutNames(line, place)));
      if (client.closed) return lines.at(-1) === 'closed' ? lines : [...lines, 'closed'];
    }
    return [...lines, await probe(client, options)];
  } finally {
    client.destroy();
  }
}

interface Seen {
  readonly lines: readonly string[];
  readonly body?: unknown;
}

async function exchange(client: WireClient, frame: Frame, place: Place, options: RunOptions): Promise<Seen> {
  client.send(frame.bytes);
  if (frame.unfinished) return { lines: [await unfinishedEnd(client, options)] };
  if (!frame.answer) return { lines: [] };
  const reply = await client.next(options.patienceMs);
  if (reply.kind !== 'frame') return { lines: [reply.kind === 'closed' ? 'closed' : 'hangs'] };
  return answered(frame, frame.answer, reply.bytes, place);
}

function answered(frame: Frame, { apiKey, version }: NonNullable<Frame['answer']>, bytes: Buffer, place: Place): Seen {
  const sentId = frame.bytes.readInt32BE(8);
  const decoded = readAnswer(apiKey, version, bytes);
  if (!decoded) return { lines: [`an answer that is no ${apiOf(apiKey)?.name} v${version}`] };
  const { body, correlationId, trailingBytes } = decoded;
  if (correlationId !== sentId) return { lines: [`answer to ${correlationId} instead of ${sentId}`], body };
  const also = frame.also ? [frame.also(body as never)] : [];
  const errors = frame.instead ? [frame.instead(body as never)] : errorLines(body, place);
  return { lines: [...errors, ...also, ...(trailingBytes > 0 ? [`${trailingBytes} bytes behind the answer`] : [])], body };
}

function readAnswer(apiKey: ApiKey, version: number, bytes: Buffer): ReturnType<typeof decodeResponse> | undefined {
  try {
    return decodeResponse(apiKey, version, bytes);
  } catch (error) {
    if (error instanceof ProtocolError) return undefined;
    throw error;
  }
}

/** A broker may wait for the rest, but not when the client has said that nothing more comes. */
async function unfinishedEnd(client: WireClient, { silenceMs, patienceMs }: RunOptions): Promise<string> {
  const early = await client.next(silenceMs);
  if (early.kind !== 'silent') return early.kind === 'closed' ? 'closed' : 'answered an unfinished frame';
  client.endSending();
  const late = await client.next(patienceMs);
  return late.kind === 'closed' ? 'waits for the rest' : `after the end of sending: ${late.kind}`;
}

/** Answers come in order, so the answer to one more request tells that nothing else was answered. */
async function probe(client: WireClient, { patienceMs }: RunOptions): Promise<string> {
  client.send(requestFrame(ApiKeys.ApiVersions, 0, {}, probeId));
  const reply = await client.next(patienceMs);
  if (reply.kind === 'closed') return 'closed';
  if (reply.kind === 'silent') return 'hangs';
  const id = reply.bytes.readInt32BE(0);
  return id === probeId ? 'open' : `answer to ${id} that was not expected`;
}
