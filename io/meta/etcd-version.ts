/** Versions of etcd whose reads may be stale after a pause (etcd #20418), or that nobody mends any more. */

/** A warning for an etcd of this version, or undefined when it is supported: 3.5.28 and later 3.5, 3.6.9 and later. */
export function etcdVersionWarning(version: string): string | undefined {
  const [major = 0, minor = 0, patch = 0] = version.split(/[.-]/).map(Number);
  const isSupported = major > 3 || (major === 3 && (minor > 6 || (minor === 6 && patch >= 9) || (minor === 5 && patch >= 28)));
  return isSupported
    ? undefined
    : `etcd ${version} may answer stale reads after a pause; 3.5.28, 3.6.9 or later is supported. Data is safe, but moves and admin requests may be slow to settle.`;
}
