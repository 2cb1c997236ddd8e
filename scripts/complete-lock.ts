/**
 * Completes package-lock.json after `npm install`: prebuilt binaries of other platforms are optional dependencies, and a
 * registry that does not carry them makes npm leave them out of the lock file, which `npm ci` then refuses. Each gets an
 * entry with its platform, so that it is skipped where it does not fit and fetched where it does.
 */
import { readFileSync, writeFileSync } from 'node:fs';

interface LockedPackage {
  version?: string;
  os?: string[];
  cpu?: string[];
  libc?: string[];
  dev?: boolean;
  optional?: boolean;
  optionalDependencies?: Record<string, string>;
}

const systems = ['android', 'darwin', 'win32', 'freebsd', 'openharmony', 'linux', 'wasm32', 'wasi'];
const processors = ['arm64', 'x64', 'ia32', 'ppc64', 'riscv64', 's390x', 'arm', 'loong64', 'universal', 'wasm32'];

const path = new URL('../../package-lock.json', import.meta.url);
const lock = JSON.parse(readFileSync(path, 'utf8')) as { packages: Record<string, LockedPackage> };
let added = 0;
for (const parent of Object.values(lock.packages)) {
  for (const [name, version] of Object.entries(parent.optionalDependencies ?? {})) {
    const key = `node_modules/${name}`;
    if (lock.packages[key]) continue;
    lock.packages[key] = { version, ...platformOf(name), ...(parent.dev ? { dev: true } : {}), optional: true };
    added++;
  }
}
const [root, ...others] = Object.keys(lock.packages);
lock.packages = Object.fromEntries([root as string, ...others.sort()].map((key) => [key, lock.packages[key] as LockedPackage]));
writeFileSync(path, `${JSON.stringify(lock, null, 2)}\n`);
process.stdout.write(`${added} packages of other platforms added to package-lock.json\n`);

function platformOf(name: string): Pick<LockedPackage, 'os' | 'cpu' | 'libc'> {
  const words = (name.split('/').at(-1) ?? '').split('-');
  const os = systems.find((system) => words.includes(system));
  const cpu = processors.find((processor) => words.includes(processor));
  if (!os || !cpu) throw new Error(`the name ${name} does not tell its platform`);
  const libc = words.some((word) => word.startsWith('musl')) ? 'musl' : words.some((word) => word.startsWith('gnu')) ? 'glibc' : undefined;
  return { os: [os], cpu: [cpu], ...(libc ? { libc: [libc] } : {}) };
}
