/**
 * What an S3 server's answer means (design §3, "One numbered PUT, and what its answers mean"). Pure.
 * Source of the codes: Amazon S3 API reference, "Error responses"; versitygw and MinIO as they answer.
 */
import type { Refused, Unknown } from '../object-store.ts';
import type { AnswerHead } from './http-answer.ts';

export interface S3Error {
  readonly status: number;
  readonly code: string;
  readonly message: string;
}

/** Client errors by their status that are none: clocks, tokens, timeouts and throttling pass. */
const passing = new Set([
  'RequestTimeout',
  'RequestTimeTooSkewed',
  'ExpiredToken',
  'ExpiredTokenException',
  'TokenRefreshRequired',
  'SlowDown',
  'SlowDownRead',
  'SlowDownWrite',
  'Throttling',
  'ThrottlingException',
  'RequestThrottled',
  'RequestLimitExceeded',
  'BandwidthLimitExceeded',
  'IncompleteBody',
  'OperationAborted',
  'ConditionalRequestConflict',
  'InternalError',
  'ServiceUnavailable',
]);
const passingStatus = new Set([408, 409, 425, 429]);

const advice: Readonly<Record<string, string>> = {
  NoSuchBucket: 'the bucket does not exist: create it, or correct its name',
  AccessDenied: 'the store denies access: the credentials need s3:GetObject, s3:PutObject, s3:DeleteObject and s3:ListBucket on the bucket',
  InvalidAccessKeyId: 'the store does not know this access key',
  SignatureDoesNotMatch: 'the store does not accept the secret access key',
  NotImplemented: 'the store does not know this kind of request; conditional PUT (If-None-Match) is needed',
};

/** An answer that is neither success nor one with a meaning of its own for the call. */
export function failureOf(error: S3Error): Unknown | Refused {
  const said = `${error.status}${error.code ? ` ${error.code}` : ''}${error.message ? `: ${error.message}` : ''}`;
  if (error.status >= 300 && error.status < 400) return { kind: 'refused', cause: `the bucket is elsewhere (${said}): correct region or endpoint` };
  const lasting = error.status === 501 || (error.status >= 400 && error.status < 500 && !passingStatus.has(error.status) && !passing.has(error.code));
  if (!lasting) return { kind: 'unknown', cause: said };
  const known = error.status === 404 && error.code === '' ? 'what answers there is no S3 server: check the endpoint' : advice[error.code];
  return { kind: 'refused', cause: known ? `${known} (${said})` : said };
}

/** The credentials are too old: new ones may help at once. */
export function wantsNewCredentials({ code }: S3Error): boolean {
  return code === 'ExpiredToken' || code === 'ExpiredTokenException' || code === 'TokenRefreshRequired';
}

/** How far our clock is from the store's, when the store refused us for it. */
export function clockOffsetMs(error: S3Error, head: AnswerHead, wallMs: number): number | undefined {
  if (error.code !== 'RequestTimeTooSkewed') return undefined;
  const theirs = Date.parse(head.headers.get('date') ?? '');
  return Number.isNaN(theirs) ? undefined : theirs - wallMs;
}

export function errorOf(head: AnswerHead, body: Buffer): S3Error {
  const text = body.toString('utf8', 0, 4096);
  return { status: head.status, code: element(text, 'Code'), message: element(text, 'Message') };
}

/** A success whose body is an error document (F40). */
export function isErrorDocument(body: Buffer): boolean {
  return body.length > 0 && body.toString('latin1', 0, 512).includes('<Error>');
}

export interface ContentRange {
  readonly start: number;
  /** Exclusive. */
  readonly end: number;
  readonly sizeBytes: number;
}

/** `bytes first-last/size` of a 206; of an empty object MinIO says `bytes 0--1/0`. */
export function contentRange(head: AnswerHead): ContentRange | undefined {
  const parsed = /^bytes (\d{1,15})-(-1|\d{1,15})\/(\d{1,15})$/.exec(head.headers.get('content-range') ?? '');
  return parsed ? { start: Number(parsed[1]), end: Number(parsed[2]) + 1, sizeBytes: Number(parsed[3]) } : undefined;
}

/** The object's size as a 416 tells it, in the header or in the document. */
export function sizeOfUnsatisfiable(head: AnswerHead, body: Buffer): number | undefined {
  const size = /^bytes \*\/(\d{1,15})$/.exec(head.headers.get('content-range') ?? '')?.[1] ?? element(body.toString('utf8', 0, 4096), 'ActualObjectSize');
  return /^\d{1,15}$/.test(size) ? Number(size) : undefined;
}

function element(text: string, name: string): string {
  return new RegExp(`<${name}>([^<]*)</${name}>`).exec(text)?.[1]?.trim() ?? '';
}
