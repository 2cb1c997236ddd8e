/**
 * The AWS SDK, for what it knows best: where a bucket lives (regions, path style, environment), which credentials to use (its default chain), and
 * the calls that are rare (listing, deleting). The bytes go over our own connections; the calls that are frequent are only signed here.
 */
import { HeadObjectCommand, S3Client, type S3ClientConfig } from '@aws-sdk/client-s3';
import type { Clock } from '../../clock.ts';
import type { CallEnd } from '../call-end.ts';
import type { HttpCall, HttpOutcome, Origin } from './http-connection.ts';
import { type HttpConnectionLimits, HttpConnections } from './http-connections.ts';
import { Signer, type SigningCredentials } from './signature.ts';

export interface Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
}

export interface BucketLocation {
  readonly bucket: string;
  /** `http://host:port`; without it AWS, or what AWS_ENDPOINT_URL_S3 says. */
  readonly endpoint?: string;
  readonly region?: string;
  /** `endpoint/bucket/key` instead of `bucket.endpoint/key`; by default when there is an endpoint. */
  readonly pathStyle?: boolean;
  /** By default the SDK's chain: environment, profile, web identity, container, instance. */
  readonly credentials?: Credentials | (() => Promise<Credentials & { readonly expiration?: Date }>);
  /** PEM of the authority that signed the endpoint's certificate. */
  readonly ca?: string;
}

/** What a command's `send` takes besides: our handler finds it in its options. */
export interface SendOptions {
  readonly end: CallEnd;
}

interface Address {
  readonly connections: HttpConnections;
  readonly signer: Signer;
  readonly host: string;
  /** What stands before a key. */
  readonly basePath: string;
}

export interface BucketRequest {
  readonly method: string;
  readonly key: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: readonly Uint8Array[];
  readonly placeBody: HttpCall['placeBody'];
}

const userAgent = 'automq-ts';

export class BucketClient {
  readonly sdk: S3Client;
  readonly #location: BucketLocation;
  readonly #clock: Clock;
  readonly #limits: HttpConnectionLimits;
  #address: Promise<Address> | undefined;
  #connections: HttpConnections | undefined;
  #refreshCredentials = false;
  #clockOffsetMs = 0;

  constructor(location: BucketLocation, clock: Clock, limits: HttpConnectionLimits) {
    this.#location = location;
    this.#clock = clock;
    this.#limits = limits;
    const endpoint = location.endpoint ?? process.env['AWS_ENDPOINT_URL_S3'] ?? process.env['AWS_ENDPOINT_URL'];
    // Servers that are not Amazon's have one region, whatever its name.
    const region = location.region ?? (endpoint === undefined ? undefined : (process.env['AWS_REGION'] ?? 'us-east-1'));
    const config: S3ClientConfig = {
      forcePathStyle: location.pathStyle ?? endpoint !== undefined,
      maxAttempts: 1,
      // Older servers refuse the checksums that the SDK adds unasked.
      requestChecksumCalculation: 'WHEN_REQUIRED',
      responseChecksumValidation: 'WHEN_REQUIRED',
      requestHandler: { handle: (request: SdkRequest, options: unknown) => this.#handle(request, options as SendOptions) },
      ...(region === undefined ? {} : { region }),
      ...(endpoint === undefined ? {} : { endpoint }),
      ...(location.credentials === undefined ? {} : { credentials: location.credentials }),
    };
    this.sdk = withoutNodeWarning(() => new S3Client(config));
  }

  /** One signed request. Rejects when there is no address or are no credentials: nothing was sent then. */
  async send(request: BucketRequest, end: CallEnd): Promise<HttpOutcome> {
    const ready = await end.race(Promise.all([this.#findAddress(), this.#credentials()]));
    if (!ready || end.cause !== undefined) return { kind: 'broken', cause: `${end.cause} (looking for endpoint and credentials)` };
    const [address, credentials] = ready;
    const path = `${address.basePath}${request.key}`;
    const unsigned = { method: request.method, path, headers: { host: address.host, ...request.headers } };
    const headers = address.signer.sign(unsigned, credentials, this.#clock.wallMs() + this.#clockOffsetMs);
    headers['user-agent'] = userAgent;
    return address.connections.run(
      { method: request.method, head: headText(request.method, path, headers), body: request.body, placeBody: request.placeBody },
      end,
    );
  }

  /** The next request is signed for the store's clock. */
  correctClock(offsetMs: number): void {
    this.#clockOffsetMs = offsetMs;
  }

  /** The next request asks the chain for new credentials. */
  dropCredentials(): void {
    this.#refreshCredentials = true;
  }

  get openConnections(): number {
    return this.#connections?.open ?? 0;
  }

  async close(): Promise<void> {
    this.sdk.destroy();
    await this.#connections?.close();
  }

  #findAddress(): Promise<Address> {
    if (!this.#address) {
      this.#address = this.#locate();
      this.#address.catch(() => {
        this.#address = undefined;
      });
    }
    return this.#address;
  }

  /** Lets the SDK build one request and looks where it would go. */
  async #locate(): Promise<Address> {
    const probe = new HeadObjectCommand({ Bucket: this.#location.bucket, Key: 'k' });
    let built: SdkRequest | undefined;
    probe.middlewareStack.add(
      () => (args) => {
        built = args.request as SdkRequest;
        return Promise.resolve({ output: { $metadata: {} }, response: {} });
      },
      { step: 'build', priority: 'low' },
    );
    await this.sdk.send(probe);
    if (!built) throw new Error('the SDK built no request');
    const origin = originOf(built, this.#location.ca);
    this.#connections ??= new HttpConnections(origin, this.#clock, this.#limits);
    const signer = new Signer(await this.sdk.config.region());
    return { connections: this.#connections, signer, host: hostHeader(origin), basePath: built.path.slice(0, -1) };
  }

  /** The SDK keeps them and renews them before they expire. */
  #credentials(): Promise<SigningCredentials> {
    if (!this.#refreshCredentials) return this.sdk.config.credentials();
    this.#refreshCredentials = false;
    return (this.sdk.config.credentials as (options: { readonly forceRefresh: boolean }) => Promise<SigningCredentials>)({ forceRefresh: true });
  }

  async #handle(request: SdkRequest, options: SendOptions): Promise<{ response: SdkResponse }> {
    const { connections } = await this.#findAddress();
    const query = queryText(request.query ?? {});
    const path = query ? `${request.path}?${query}` : request.path;
    const body = request.body === undefined ? [] : [typeof request.body === 'string' ? Buffer.from(request.body) : request.body];
    const place = (_head: unknown, sizeBytes: number) => (sizeBytes <= maxDocumentBytes ? Buffer.allocUnsafeSlow(sizeBytes) : undefined);
    const outcome = await connections.run(
      { method: request.method, head: headText(request.method, path, request.headers), body, placeBody: place },
      options.end,
    );
    if (outcome.kind === 'broken') throw new BrokenCall(outcome.cause);
    return { response: { statusCode: outcome.head.status, headers: Object.fromEntries(outcome.head.headers), body: outcome.body } };
  }
}

/** Thrown through the SDK: there was no complete answer. */
export class BrokenCall extends Error {
  override readonly name = 'BrokenCall';
}

/** Listings of a thousand keys and errors. */
export const maxDocumentBytes = 8 * 1024 * 1024;

interface SdkRequest {
  readonly method: string;
  readonly protocol: string;
  readonly hostname: string;
  readonly port?: number;
  readonly path: string;
  readonly query?: Readonly<Record<string, string | readonly string[] | null>>;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
}

interface SdkResponse {
  readonly statusCode: number;
  readonly headers: Record<string, string>;
  readonly body: Uint8Array;
}

function originOf(request: SdkRequest, ca: string | undefined): Origin {
  const secure = request.protocol === 'https:';
  return { secure, host: request.hostname.replace(/^\[(.*)\]$/, '$1'), port: request.port ?? (secure ? 443 : 80), ...(ca === undefined ? {} : { ca }) };
}

function hostHeader({ host, port, secure }: Origin): string {
  const name = host.includes(':') ? `[${host}]` : host;
  return port === (secure ? 443 : 80) ? name : `${name}:${port}`;
}

function headText(method: string, path: string, headers: Readonly<Record<string, string>>): string {
  let text = `${method} ${path} HTTP/1.1\r\n`;
  for (const [name, value] of Object.entries(headers)) text += `${name}: ${value}\r\n`;
  return `${text}\r\n`;
}

/** As the SDK signed it: sorted, every character escaped that a URL does not need. */
function queryText(query: NonNullable<SdkRequest['query']>): string {
  return Object.keys(query)
    .sort()
    .flatMap((name) => {
      const value = query[name];
      if (value == null) return [escapeText(name)];
      return (typeof value === 'string' ? [value] : value).map((one) => `${escapeText(name)}=${escapeText(one)}`);
    })
    .join('&');
}

function escapeText(text: string): string {
  return encodeURIComponent(text).replaceAll(/[!'()*]/g, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`);
}

/** The SDK announces on every start that a future version will need a newer Node; the pinned one does not. */
function withoutNodeWarning<T>(make: () => T): T {
  process.env['AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED'] ??= 'true';
  return make();
}
