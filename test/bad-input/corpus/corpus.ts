/** The whole corpus, in the order of the rows. */
import { type BadInput, caseName } from '../bad-input.ts';
import { adminCases } from './admin.ts';
import { fetchCases } from './fetches.ts';
import { frameCases } from './frames.ts';
import { groupCases } from './groups.ts';
import { offsetAndMetadataCases } from './offsets-metadata.ts';
import { produceBatchCases } from './produce-batches.ts';
import { produceRequestCases } from './produce-requests.ts';

export const corpus: readonly BadInput[] = [
  ...frameCases,
  ...produceBatchCases,
  ...produceRequestCases,
  ...fetchCases,
  ...offsetAndMetadataCases,
  ...groupCases,
  ...adminCases,
].sort((one, other) => (one.row < other.row ? -1 : one.row > other.row ? 1 : 0));

const names = new Set(corpus.map(caseName));
if (names.size !== corpus.length) throw new Error('two cases of the corpus have one name');
