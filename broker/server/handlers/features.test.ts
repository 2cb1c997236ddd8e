/** What `kafka-features` asks of a broker: ApiVersions tells the storage version, UpdateFeatures finalizes it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ErrorCodes } from '../../protocol/errors.ts';
import type { AdminOutcome } from '../services.ts';
import { FakeServices } from '../testing/fake-services.ts';
import { answerTo } from '../testing/request-context.ts';
import { apiVersionsHandler } from './api-versions.ts';
import { updateFeaturesHandler } from './update-features.ts';

const UPGRADE = 1;
const SAFE_DOWNGRADE = 2;

class Features extends FakeServices {
  readonly finalized: [version: number, validateOnly: boolean][] = [];
  outcome: AdminOutcome<object> = { kind: 'done' };

  constructor() {
    super();
    this.storage = {
      supported: { min: 1, max: 3 },
      finalized: 2,
      epoch: 17,
      finalize: async (version, { validateOnly }) => {
        this.finalized.push([version, validateOnly]);
        return this.outcome;
      },
    };
  }

  update(feature: string, maxVersionLevel: number, { version = 2, upgradeType = UPGRADE, allowDowngrade = false, validateOnly = false } = {}) {
    return answerTo(updateFeaturesHandler(this), version, {
      timeoutMs: 1_000,
      featureUpdates: [{ feature, maxVersionLevel, allowDowngrade, upgradeType }],
      validateOnly,
    });
  }
}

test('ApiVersions tells what this broker supports and what the cluster has finalized', async () => {
  const request = { clientSoftwareName: 'test', clientSoftwareVersion: '1' };
  const answer = await answerTo(
    apiVersionsHandler(() => [], new Features().storage),
    3,
    request,
  );
  assert.deepEqual(answer.supportedFeatures, [{ name: 'automq.storage', minVersion: 1, maxVersion: 3 }]);
  assert.deepEqual(answer.finalizedFeatures, [{ name: 'automq.storage', minVersionLevel: 2, maxVersionLevel: 2 }]);
  assert.equal(answer.finalizedFeaturesEpoch, 17);
});

test('an upgrade finalizes the version; before version 2 the answer names the feature', async () => {
  const services = new Features();
  assert.deepEqual(await services.update('automq.storage', 3), { throttleTimeMs: 0, errorCode: 0, errorMessage: null, results: [] });
  assert.deepEqual((await services.update('automq.storage', 3, { version: 1, validateOnly: true })).results, [
    { feature: 'automq.storage', errorCode: 0, errorMessage: null },
  ]);
  assert.deepEqual(services.finalized, [
    [3, false],
    [3, true],
  ]);
});

test('what cannot be is an error of the whole answer and changes nothing', async () => {
  const services = new Features();
  const refused = async (...args: Parameters<Features['update']>) => (await services.update(...args)).errorCode;
  assert.equal(await refused('metadata.version', 7), ErrorCodes.INVALID_UPDATE_VERSION);
  assert.equal(await refused('automq.storage', 3, { upgradeType: 0 }), ErrorCodes.INVALID_UPDATE_VERSION);
  assert.equal(await refused('automq.storage', 3, { upgradeType: 4 }), ErrorCodes.INVALID_UPDATE_VERSION);
  assert.equal(await refused('automq.storage', 3, { upgradeType: SAFE_DOWNGRADE }), ErrorCodes.INVALID_UPDATE_VERSION);
  assert.equal(await refused('automq.storage', 3, { version: 0, allowDowngrade: true }), ErrorCodes.INVALID_UPDATE_VERSION);
  assert.deepEqual(services.finalized, []);
  services.outcome = { kind: 'error', error: ErrorCodes.INVALID_UPDATE_VERSION, message: 'no way back' };
  const { errorCode, errorMessage } = await services.update('automq.storage', 1, { upgradeType: SAFE_DOWNGRADE, version: 1 });
  assert.deepEqual([errorCode, errorMessage], [ErrorCodes.INVALID_UPDATE_VERSION, 'no way back']);
  assert.deepEqual(services.finalized, [[1, false]]);
});
