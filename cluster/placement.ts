/**
 * Which broker takes a partition: new ones, and those whose owner is gone or drains (design §4, §9). Pure: the same input gives the same
 * answer, whoever asks. Partitions are placed one by one: whoever may take it (`mayTake`), then of those the least loaded, then where its
 * rack and itself have the least of the topic, then by node id from a rotating start.
 *
 * Weight comes first among those that may take it, so that brokers stay within one partition of each other; but an empty broker that
 * has just joined takes no more than its share of a topic, however far behind it is: the next topic to be created may be the busiest.
 */
import type { NodeId, TopicId } from './identifiers.ts';

/** A live broker: others are not in the list. */
export interface PlacementBroker {
  readonly node: NodeId;
  readonly rack: string | undefined;
  readonly draining: boolean;
  /** How many it owns, or will own by what is under way. */
  readonly partitions: number;
  /** In any unit; counts only when every broker has one. */
  readonly load?: number;
}

export interface PlacementOptions {
  /** Turns the order in which equal brokers are taken. */
  readonly start: number;
  /** How many partitions of a topic a broker owns already; 0 when absent. */
  readonly ownedOf?: (topic: TopicId, node: NodeId) => number;
}

export interface OrphanOptions extends PlacementOptions {
  /** Brokers that take nothing: the one that is drained, those that are suspected. */
  readonly exclude: ReadonlySet<NodeId>;
}

export interface Orphan {
  readonly topicId: TopicId;
  readonly partition: number;
}

/** Owners for `count` more partitions of a topic, in their order; undefined when there is no broker. */
export function placePartitions(topic: TopicId, count: number, brokers: readonly PlacementBroker[], options: PlacementOptions): readonly NodeId[] | undefined {
  const candidates = candidatesOf(brokers, options.start);
  if (candidates.length === 0) return undefined;
  const placing = new TopicPlacing(topic, count, candidates, { options, slack: 0 });
  return Array.from({ length: count }, () => placing.next());
}

/**
 * Owners for partitions that need a new one, in the order given; undefined when no broker is left. The order does not change who gets
 * what. A topic that is alone on many brokers may get one more than its share: evenness counts more than its spread.
 */
export function placeOrphans(orphans: readonly Orphan[], brokers: readonly PlacementBroker[], options: OrphanOptions): readonly NodeId[] | undefined {
  const candidates = candidatesOf(
    brokers.filter(({ node }) => !options.exclude.has(node)),
    options.start,
  );
  if (candidates.length === 0) return undefined;
  const owners: NodeId[] = Array.from({ length: orphans.length });
  for (const [topic, places] of placesByTopic(orphans)) {
    const placing = new TopicPlacing(topic, places.length, candidates, { options, slack: 1 });
    for (const place of places) owners[place] = placing.next();
  }
  return owners;
}

interface Candidate {
  readonly node: NodeId;
  readonly rack: string | undefined;
  /** Place in the rotated order. */
  readonly turn: number;
  /** In partitions; grows with each that is placed. */
  weight: number;
}

/** Those that take something new: when all drain, somebody has to all the same. */
function takingBrokers(brokers: readonly PlacementBroker[]): readonly PlacementBroker[] {
  const staying = brokers.filter(({ draining }) => !draining);
  return staying.length > 0 ? staying : brokers;
}

function candidatesOf(brokers: readonly PlacementBroker[], start: number): Candidate[] {
  const taking = [...takingBrokers(brokers)].sort((a, b) => a.node - b.node);
  const weigh = weightOf(taking);
  const first = taking.length > 0 ? ((start % taking.length) + taking.length) % taking.length : 0;
  return taking.map((broker, i) => ({
    node: broker.node,
    rack: broker.rack,
    turn: (i - first + taking.length) % taking.length,
    weight: weigh(broker),
  }));
}

/** Load in partitions of mean load, so that it can be added to their count: neither idle partitions nor few busy ones make a broker look empty. */
function weightOf(brokers: readonly PlacementBroker[]): (broker: PlacementBroker) => number {
  let load = 0;
  let partitions = 0;
  for (const broker of brokers) {
    load += broker.load ?? Number.NaN;
    partitions += broker.partitions;
  }
  if (!(load > 0) || partitions === 0) return (broker) => broker.partitions;
  const meanLoad = load / partitions;
  return (broker) => Math.round((broker.partitions + (broker.load ?? 0) / meanLoad) / 2);
}

/** One topic's partitions being placed one after the other. */
class TopicPlacing {
  readonly #candidates: readonly Candidate[];
  readonly #owned = new Map<NodeId, number>();
  readonly #racks = new Map<string | undefined, { brokers: number; owned: number }>();
  /** A broker's share of the topic. There is always one below it: not all can be at or above the mean of what is placed so far. */
  readonly #share: number;

  constructor(
    topic: TopicId,
    count: number,
    candidates: readonly Candidate[],
    { options, slack }: { readonly options: PlacementOptions; readonly slack: number },
  ) {
    this.#candidates = candidates;
    let total = count;
    for (const { node, rack } of candidates) {
      const owned = options.ownedOf?.(topic, node) ?? 0;
      total += owned;
      this.#owned.set(node, owned);
      const inRack = this.#racks.get(rack) ?? { brokers: 0, owned: 0 };
      this.#racks.set(rack, { brokers: inRack.brokers + 1, owned: inRack.owned + owned });
    }
    this.#share = Math.ceil(total / candidates.length) + slack;
  }

  next(): NodeId {
    let best: Candidate | undefined;
    for (const candidate of this.#candidates) if (this.#mayTake(candidate) && (best === undefined || this.#isBetter(candidate, best))) best = candidate;
    if (best === undefined) throw new RangeError('more partitions are placed than were announced');
    best.weight++;
    this.#owned.set(best.node, this.#ownedBy(best) + 1);
    this.#racks.get(best.rack)!.owned++;
    return best.node;
  }

  #mayTake(candidate: Candidate): boolean {
    return this.#ownedBy(candidate) < this.#share;
  }

  #isBetter(a: Candidate, b: Candidate): boolean {
    const order = a.weight - b.weight || this.#rackShare(a) - this.#rackShare(b) || this.#ownedBy(a) - this.#ownedBy(b) || a.turn - b.turn;
    return order < 0;
  }

  #ownedBy({ node }: Candidate): number {
    return this.#owned.get(node) ?? 0;
  }

  /** Of the topic per broker of the rack: a small rack gets less. Brokers without a rack are one. */
  #rackShare({ rack }: Candidate): number {
    const { brokers, owned } = this.#racks.get(rack)!;
    return owned / brokers;
  }
}

/** Places in `orphans` by topic, both ascending. */
function placesByTopic(orphans: readonly Orphan[]): [TopicId, number[]][] {
  const places = new Map<TopicId, number[]>();
  for (const [place, { topicId }] of orphans.entries()) {
    const known = places.get(topicId);
    if (known) known.push(place);
    else places.set(topicId, [place]);
  }
  for (const some of places.values()) some.sort((a, b) => orphans[a]!.partition - orphans[b]!.partition);
  return [...places].sort(([a], [b]) => (a < b ? -1 : 1));
}
