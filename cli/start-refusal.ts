/** Why a start was refused, for people: what is expected to go wrong is one text, what is not is a bug with its stack. */
import { MetaRefused } from '../io/meta/meta-store.ts';
import { StoreSettingError } from '../io/object/store-location.ts';
import { ListenError } from '../io/transport.ts';
import { StorageVersionRefused } from '../broker/ownership/incarnation.ts';

/** The start was refused for a reason that its message tells, with what to do. */
export class StartRefused extends Error {
  override readonly name = 'StartRefused';
}

const expected = [StartRefused, ListenError, StoreSettingError, MetaRefused, StorageVersionRefused];

/** The text for people; undefined when the error is a bug. */
export function refusalText(error: unknown): string | undefined {
  return expected.some((kind) => error instanceof kind) ? (error as Error).message : undefined;
}
