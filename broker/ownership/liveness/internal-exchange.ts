/** One question to another broker over a connection of its own, and its answer within a deadline. */
import type { Clock } from '../../../io/clock.ts';
import { ConnectError, type Connection, type Transport } from '../../../io/transport.ts';
import { encodeMessage, InternalFrames, type InternalMessage, meaningOf, type ProbeOutcome, type SentMessage, type Subject } from './internal-protocol.ts';

export interface ExchangeOptions {
  readonly transport: Transport;
  readonly clock: Clock;
  readonly deadlineMs: number;
}

/** From here on a deadline that fires late says that we were asleep, not that the other one was silent. */
const asleepMs = 250;

/** Whether the subject answers from here. */
export async function probeSubject(subject: Subject, options: ExchangeOptions): Promise<ProbeOutcome> {
  const answer = await askOnce(subject, { kind: 'ping', incarnation: subject.incarnation }, options);
  if (answer === 'refused' || answer === 'silent') return answer;
  if (answer === 'asleep') return 'unavailable';
  if (answer.kind !== 'pong') return 'silent';
  switch (meaningOf(answer, subject.incarnation)) {
    case 'living':
      return 'reached';
    case 'over':
      return 'replaced';
    case 'stranger':
      return 'refused';
    case 'unknown':
      return 'silent';
  }
}

/** What `witness` says about the subject; `unavailable` when it says nothing. */
export async function askWitness(witness: Subject, subject: Subject, options: ExchangeOptions): Promise<ProbeOutcome> {
  const answer = await askOnce(witness, { kind: 'probe', subject }, options);
  return typeof answer === 'object' && answer.kind === 'probed' ? answer.outcome : 'unavailable';
}

type Answer = InternalMessage | 'refused' | 'silent' | 'asleep';

async function askOnce({ host, port }: Subject, question: SentMessage, { transport, clock, deadlineMs }: ExchangeOptions): Promise<Answer> {
  const deadlineAtMs = clock.monotonicMs() + deadlineMs;
  const silence = () => (clock.monotonicMs() - deadlineAtMs > asleepMs ? 'asleep' : 'silent');
  let connection: Connection;
  try {
    connection = await transport.connect({ host, port }, { timeoutMs: deadlineMs });
  } catch (error) {
    return error instanceof ConnectError && error.refused ? 'refused' : silence();
  }
  return new Promise((resolve) => {
    const frames = new InternalFrames();
    const settle = (answer: Answer) => {
      timer.cancel();
      resolve(answer);
      connection.destroy();
    };
    const timer = clock.setTimer(Math.max(0, deadlineAtMs - clock.monotonicMs()), () => settle(silence()));
    connection.setHandler({ onData: (chunk) => settleWithFirst(frames, chunk, settle), onDrain: () => {}, onClose: () => settle('silent') });
    connection.write([encodeMessage(question)]);
  });
}

function settleWithFirst(frames: InternalFrames, chunk: Buffer, settle: (answer: Answer) => void): void {
  try {
    const [answer] = frames.push(chunk);
    if (answer) settle(answer);
  } catch {
    settle('silent');
  }
}
