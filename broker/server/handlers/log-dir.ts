/** The one log directory that tools see: the bucket, by the address in the configuration, or that of the data folder. */
import type { Services } from '../services.ts';

export function logDirOf({ config }: Services): string {
  return config.storageUrl || 'storage';
}
