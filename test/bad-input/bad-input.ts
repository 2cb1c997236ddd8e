/**
 * What a case of the corpus is: frames sent one after the other on one connection, and what to look at in the answers besides error codes.
 * Rows are those of the project's list of bad inputs: B01–B17 frames, B28–B48 produce, B49–B53 fetch, offsets and metadata,
 * B54–B60 groups and admin (docs/bad-input.md names them).
 */
import type { ApiKey, RequestInputOf, ResponseOf } from '../../broker/protocol/messages.gen.ts';
import { requestFrame } from './frames.ts';

/** What a case may name: everything in it belongs to the case alone. */
export interface Place {
  /** A topic of one partition, or as the case's `topic` says. */
  readonly topic: string;
  readonly topicId: string;
  readonly group: string;
  /** A name that no topic has. */
  readonly unknown: string;
}

export interface TopicNeeds {
  readonly partitions?: number;
  readonly configs?: Readonly<Record<string, string>>;
}

export interface Frame {
  /** As they go out, size included. */
  readonly bytes: Buffer;
  /** How to read the answer; undefined: the case expects none. */
  readonly answer?: { readonly apiKey: ApiKey; readonly version: number } | undefined;
  /** More of the answer than its error codes. */
  readonly also?: (body: never) => string;
  /** Instead of the error codes, where their number depends on what else the broker holds. */
  readonly instead?: (body: never) => string;
  /** More bytes were announced than are sent: after some silence the client ends its side. */
  readonly unfinished?: true;
}

/** Bodies of the answers so far; undefined where none came. */
export type Answers = readonly unknown[];
export type FrameOrNext = Frame | ((answers: Answers) => Frame);

export interface BadInput {
  readonly row: string;
  /** Unique within the row. */
  readonly name: string;
  readonly topic?: TopicNeeds;
  readonly frames: (place: Place) => readonly FrameOrNext[];
}

/** A request that our codecs can write, whatever it means. */
export function ask<K extends ApiKey>(apiKey: K, version: number, body: RequestInputOf<K>, also?: (body: ResponseOf<K>) => string): Frame {
  return { bytes: requestFrame(apiKey, version, body), answer: { apiKey, version }, ...(also ? { also } : {}) };
}

/** Bytes of which an answer in this version is expected. */
export function askBytes(apiKey: ApiKey, version: number, bytes: Buffer): Frame {
  return { bytes, answer: { apiKey, version } };
}

/** Bytes that are no request: a broker can only close. */
export function nonsense(bytes: Buffer): Frame {
  return { bytes };
}

export function unfinished(bytes: Buffer): Frame {
  return { bytes, unfinished: true };
}

export function caseName({ row, name }: BadInput): string {
  return `${row} ${name}`;
}
