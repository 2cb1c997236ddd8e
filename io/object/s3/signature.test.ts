import assert from 'node:assert/strict';
import test from 'node:test';
import { Signer } from './signature.ts';

const request = {
  method: 'PUT',
  path: '/bucket/wal/3/00/a_b.c-d',
  headers: { host: '127.0.0.1:9000', 'if-none-match': '*', 'content-length': '12', 'x-amz-checksum-crc32c': 'AQIDBA==' },
};
const credentials = { accessKeyId: 'AKIAEXAMPLE', secretAccessKey: 'secret/with+chars', sessionToken: 'token==' };
const atMs = 1_700_000_000_000;

test('a request is signed as the AWS SDK signs it', () => {
  const headers = new Signer('eu-central-1').sign(request, credentials, atMs);
  assert.equal(headers['x-amz-date'], '20231114T221320Z');
  assert.equal(headers['x-amz-security-token'], 'token==');
  // Signature of @smithy/signature-v4 5.7.5 for the same request.
  assert.equal(
    headers['authorization'],
    'AWS4-HMAC-SHA256 Credential=AKIAEXAMPLE/20231114/eu-central-1/s3/aws4_request, ' +
      'SignedHeaders=content-length;host;if-none-match;x-amz-checksum-crc32c;x-amz-content-sha256;x-amz-date;x-amz-security-token, ' +
      'Signature=2ba596e8507f62798269c536bac62e44768f0b3ede0246dc5e3ac63fc46c8239',
  );
});

test('the kept key is another on another day and for other credentials', () => {
  const kept = new Signer('eu-central-1');
  const sign = (signer: Signer, secretAccessKey: string, wallMs: number) => signer.sign(request, { ...credentials, secretAccessKey }, wallMs)['authorization'];
  for (const [secret, wallMs] of [
    ['one', atMs],
    ['two', atMs],
    ['two', atMs + 86_400_000],
    ['one', atMs],
  ] as const)
    assert.equal(sign(kept, secret, wallMs), sign(new Signer('eu-central-1'), secret, wallMs));
});
