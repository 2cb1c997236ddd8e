/** How many connections this machine lets one test have, and what a broker has left when they are gone. */
import { setTimeout as delay } from 'node:timers/promises';
import type { BrokerChild, Measurement } from './broker-child.ts';

/** Files that the test and the broker need besides. */
const others = 200;

/** Sockets that one process may have open. */
export function mostConnections(wanted: number): number {
  const report = process.report.getReport() as unknown as { readonly userLimits?: { readonly open_files?: { readonly soft: number | string } } };
  const soft = Number(report.userLimits?.open_files?.soft ?? 1_024);
  return Math.min(wanted, Number.isNaN(soft) ? wanted : soft - others);
}

const patienceMs = 30_000;

/** Measures again and again until the broker has no more files open than before: closing takes a moment. */
export function measureWhenFreed(broker: BrokerChild, before: Measurement): Promise<Measurement> {
  return measureWhen(broker, ({ openFiles }) => openFiles <= before.openFiles);
}

/** The same until the broker has accepted so many connections. */
export function measureWhenOpen(broker: BrokerChild, count: number): Promise<Measurement> {
  return measureWhen(broker, ({ openFiles }) => openFiles >= count);
}

/** The last measurement, whether it fits or not. */
async function measureWhen(broker: BrokerChild, fits: (measured: Measurement) => boolean): Promise<Measurement> {
  for (const giveUpAt = Date.now() + patienceMs; ; await delay(50)) {
    const now = await broker.measure();
    if (fits(now) || Date.now() > giveUpAt) return now;
  }
}
