/**
 * Which object store a setting means, before anything is opened: `memory:`, a folder (a path or `file:///path`), or a bucket
 * (`s3://bucket/prefix?endpoint=…&region=…&pathStyle=…`). Pure.
 */
import { fileURLToPath } from 'node:url';
import { isObjectKey } from './object-key.ts';

export type StoreLocation =
  | { readonly kind: 'memory' }
  | { readonly kind: 'folder'; readonly folder: string }
  | {
      readonly kind: 's3';
      readonly bucket: string;
      readonly prefix: string;
      readonly endpoint?: string;
      readonly region?: string;
      readonly pathStyle?: boolean;
    };

export class StoreSettingError extends Error {
  override readonly name = 'StoreSettingError';
}

const allowed =
  'allowed are a folder (/path, ./path or file:///path), s3://bucket[/prefix][?endpoint=http://host:port&region=name&pathStyle=true], and memory:';
const s3Parameters = ['endpoint', 'region', 'pathStyle'];

/** Throws a `StoreSettingError` that says what is wrong and what is allowed. */
export function parseStoreLocation(setting: string): StoreLocation {
  const text = setting.trim();
  if (text === '') fail('the object store setting is empty');
  if (text === 'memory:') return { kind: 'memory' };
  if (text.startsWith('file:')) return { kind: 'folder', folder: folderOf(text) };
  if (text.startsWith('s3:')) return bucketOf(text);
  const scheme = /^([A-Za-z][A-Za-z0-9+.-]+):/.exec(text);
  if (scheme) fail(`unknown kind of object store "${scheme[1]}:" in "${withoutPassword(text)}"`);
  return { kind: 'folder', folder: text };
}

/** Requests cost money and nothing is near: pacing and cost estimates make sense. */
export function isRemote(location: StoreLocation): boolean {
  if (location.kind !== 's3') return false;
  if (location.endpoint === undefined) return true;
  const { hostname } = new URL(location.endpoint);
  return !(hostname === 'localhost' || hostname === '[::1]' || /^127(?:\.\d{1,3}){3}$/.test(hostname));
}

function folderOf(text: string): string {
  try {
    return fileURLToPath(text);
  } catch (error) {
    return fail(`"${text}" names no folder (${(error as Error).message})`);
  }
}

function bucketOf(text: string): StoreLocation {
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    return fail(`"${withoutPassword(text)}" is no URL`);
  }
  if (url.username !== '' || url.password !== '')
    fail('credentials do not belong into the URL of the object store, it is logged: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile');
  const bucket = url.host;
  if (!/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/.test(bucket)) fail(`"${bucket}" in "${text}" cannot be the name of a bucket`);
  const prefix = url.pathname.replaceAll(/^\/+|\/+$/g, '');
  if (prefix !== '' && !isObjectKey(prefix)) fail(`the prefix "${prefix}" may only consist of [A-Za-z0-9_.-] and single slashes`);
  for (const name of url.searchParams.keys())
    if (!s3Parameters.includes(name)) fail(`unknown parameter "${name}" of ${url.protocol}//${bucket}: known are ${s3Parameters.join(', ')}`);
  const endpoint = url.searchParams.get('endpoint') ?? undefined;
  const region = url.searchParams.get('region') ?? undefined;
  const pathStyle = pathStyleOf(url.searchParams.get('pathStyle'));
  return {
    kind: 's3',
    bucket,
    prefix,
    ...(endpoint === undefined ? {} : { endpoint: endpointOf(endpoint) }),
    ...(region === undefined ? {} : { region }),
    ...(pathStyle === undefined ? {} : { pathStyle }),
  };
}

function endpointOf(text: string): string {
  try {
    const url = new URL(text);
    if ((url.protocol === 'http:' || url.protocol === 'https:') && url.pathname === '/' && url.search === '' && url.username === '') return url.origin;
  } catch {
    // Said below.
  }
  return fail(`the endpoint "${text}" must look like http://host:port or https://host`);
}

function pathStyleOf(text: string | null): boolean | undefined {
  if (text == null) return undefined;
  if (text === 'true') return true;
  if (text === 'false') return false;
  return fail(`pathStyle must be true or false, not "${text}"`);
}

function withoutPassword(text: string): string {
  return text.replace(/\/\/[^/@]*@/, '//');
}

function fail(problem: string): never {
  throw new StoreSettingError(`${problem}; ${allowed}`);
}
