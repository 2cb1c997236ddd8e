/** A client program as the cross-client test sees it: writes records with one compression, reads topics to their end. */

export const compressions = ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const;
export type Compression = (typeof compressions)[number];

export interface SentRecord {
  readonly key: string;
  readonly value: string;
  readonly timestampMs: number;
}

export interface ReceivedRecord extends SentRecord {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  readonly headers: readonly (readonly [string, string])[];
}

/** The same on every record: kcat sets headers per run, not per record. */
export const headers: readonly (readonly [string, string])[] = [
  ['trace', 'ride-7'],
  ['city', 'Köln'],
];

export interface Writer {
  readonly name: string;
  readonly compressions: readonly Compression[];
  /** Whether records carry our timestamps; else the client stamps them. */
  readonly setsTimestamps: boolean;
  write(bootstrap: string, topic: string, compression: Compression, records: readonly SentRecord[]): Promise<void>;
}

export interface Reader {
  readonly name: string;
  /** What it can read. */
  readonly compressions: readonly Compression[];
  /** Reads the topics from the start until `count` records came. */
  read(bootstrap: string, topics: readonly string[], count: number): Promise<ReceivedRecord[]>;
}
