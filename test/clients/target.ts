/**
 * What the tests of this folder talk to, started on a free port with a temporary folder: our broker on the folder store,
 * `TARGET=versitygw` on a real S3 server, `TARGET=kafka` Apache Kafka itself: a test that Kafka fails is a wrong test.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startBroker } from '../lab/broker.ts';
import { startKafka } from '../lab/kafka.ts';
import type { Program } from '../lab/program.ts';
import { startS3Server } from '../lab/s3-server.ts';

export type TargetKind = 'folder' | 'versitygw' | 'kafka';

export interface ClientTarget {
  readonly kind: TargetKind;
  readonly bootstrap: string;
  close(): Promise<void>;
}

export async function startTarget(): Promise<ClientTarget> {
  const kind = (process.env['TARGET'] ?? 'folder') as TargetKind;
  const folder = mkdtempSync(join(tmpdir(), `automq-clients-${kind}-`));
  const { bootstrap, programs } = await start(kind, folder);
  const close = async () => {
    for (const program of programs) {
      const { code, signal } = await program.stop();
      // 143 is how a Java process answers SIGTERM.
      if (code !== 0 && code !== 143) throw new Error(`ended with ${code ?? signal}:\n${program.logTail(60)}`);
    }
    rmSync(folder, { recursive: true, force: true });
  };
  return { kind, bootstrap, close };
}

/** The broker first: it is stopped before what it stands on. */
async function start(kind: TargetKind, folder: string): Promise<{ readonly bootstrap: string; readonly programs: readonly Program[] }> {
  switch (kind) {
    case 'kafka': {
      const { bootstrap, program } = await startKafka({ folder });
      return { bootstrap, programs: [program] };
    }
    case 'folder': {
      const { bootstrap, program } = await startBroker({ folder });
      return { bootstrap, programs: [program] };
    }
    case 'versitygw': {
      const server = await startS3Server('versitygw', join(folder, 'versitygw'));
      const { bootstrap, program } = await startBroker({ folder, s3: server });
      return { bootstrap, programs: [program, server.program] };
    }
    default:
      throw new Error(`TARGET=${String(kind)}: folder, versitygw or kafka`);
  }
}
