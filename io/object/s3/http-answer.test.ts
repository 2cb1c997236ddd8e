import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { ChunkedBody, HttpFormatError, parseAnswerHead } from './http-answer.ts';

const encoded = (parts: readonly Buffer[]) =>
  Buffer.concat([...parts.map((part) => Buffer.concat([Buffer.from(`${part.length.toString(16)}\r\n`), part, Buffer.from('\r\n')])), Buffer.from('0\r\n\r\n')]);

test('a chunked body is the same however the network cuts it', () => {
  const bytes = fc.uint8Array({ minLength: 1, maxLength: 300 }).map((array) => Buffer.from(array));
  fc.assert(
    fc.property(fc.array(bytes, { maxLength: 5 }), fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1 }), (parts, cuts) => {
      const wire = encoded(parts);
      const body = new ChunkedBody(10_000);
      let at = 0;
      for (let turn = 0; at < wire.length; turn++) at += body.push(wire.subarray(at, at + cuts[turn % cuts.length]!));
      assert.ok(body.complete);
      assert.deepEqual(body.body(), Buffer.concat(parts));
      assert.equal(body.push(Buffer.from('more')), 0);
    }),
  );
});

test('any bytes are a head or a format error, and a chunked body never grows past its limit', () => {
  fc.assert(
    fc.property(fc.string(), fc.uint8Array({ maxLength: 200 }), (text, bytes) => {
      for (const head of [text, `HTTP/1.1 200 OK\r\n${text}`]) {
        try {
          parseAnswerHead(head, 'GET');
        } catch (error) {
          assert.ok(error instanceof HttpFormatError);
        }
      }
      const body = new ChunkedBody(50);
      try {
        body.push(Buffer.from(bytes));
      } catch (error) {
        assert.ok(error instanceof HttpFormatError);
      }
      assert.ok(body.body().length <= 50 || !body.complete);
    }),
  );
});

test('an answer tells how its body is framed and whether the connection stays', () => {
  const framing = (text: string, method = 'GET') => parseAnswerHead(text, method).framing;
  assert.deepEqual(framing('HTTP/1.1 200 OK\r\nContent-Length: 12'), { kind: 'length', sizeBytes: 12 });
  assert.deepEqual(framing('HTTP/1.1 200 OK\r\nContent-Length: 12', 'HEAD'), { kind: 'length', sizeBytes: 0 });
  assert.deepEqual(framing('HTTP/1.1 204 No Content'), { kind: 'length', sizeBytes: 0 });
  assert.deepEqual(framing('HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\nContent-Length: 12'), { kind: 'chunked' });
  assert.deepEqual(framing('HTTP/1.1 200 OK'), { kind: 'until-close' });
  const keepAlive = (text: string) => parseAnswerHead(text, 'GET').keepAlive;
  assert.equal(keepAlive('HTTP/1.1 200 OK\r\ncontent-length: 0'), true);
  assert.equal(keepAlive('HTTP/1.1 200 OK\r\ncontent-length: 0\r\nConnection: Close'), false);
  assert.equal(keepAlive('HTTP/1.0 200 OK\r\ncontent-length: 0'), false);
  assert.equal(keepAlive('HTTP/1.0 200 OK\r\ncontent-length: 0\r\nConnection: keep-alive'), true);
  assert.equal(keepAlive('HTTP/1.1 200 OK'), false);
});
