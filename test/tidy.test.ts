/**
 * The project's rules that no compiler checks: which folder may import which, the ways out of the process (style.md
 * rule 3: same seed, same history), leftovers, dead files, machine paths, dependencies. A message says what to use instead.
 */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import test from 'node:test';
import { listFiles, projectRoot, readSourceFile, readText, type SourceFile } from './tidy/project-files.ts';

const sources = listFiles(['.ts']).map(readSourceFile);
const byPath = new Map(sources.map((file) => [file.path, file]));
const production = sources.filter((file) => !file.isTest);
const layerOf = (path: string) => path.split('/')[0] ?? '';

/** Which top folders each may import; what is not listed may import everything. */
const mayImport: Readonly<Record<string, readonly string[]>> = {
  std: ['std'],
  io: ['io', 'std'],
  cluster: ['cluster', 'io', 'std'],
  broker: ['broker', 'cluster', 'io', 'std'],
  operator: ['operator', 'cluster', 'io', 'std'],
};

/** Narrower rules inside the broker: files below `from` import nothing below `not`. */
const narrower = [
  { from: 'broker/protocol/', not: ['broker/', 'cluster/', 'io/'], except: ['broker/protocol/'], advice: 'the protocol knows only bytes: std may be used' },
  {
    from: 'broker/log/',
    not: ['broker/server/', 'broker/coordinator/', 'broker/ownership/', 'broker/config.ts', 'broker/broker.ts', 'io/meta/', 'io/transport.ts'],
    except: [],
    advice: 'the log knows no socket, request or metadata store: take what it needs as a parameter',
  },
  {
    from: 'broker/coordinator/',
    not: ['broker/server/', 'io/transport.ts'],
    except: ['broker/server/services.ts', 'broker/server/handler.ts'],
    advice: 'a coordinator decides; the server talks',
  },
];

test('imports go down: cli → broker, operator → cluster → io, std', () => {
  const problems: string[] = [];
  for (const file of production) {
    const allowed = mayImport[layerOf(file.path)];
    for (const target of file.imports.filter((path) => path.endsWith('.ts'))) {
      if (allowed && !allowed.includes(layerOf(target)))
        problems.push(`${file.path} imports ${target}: ${layerOf(file.path)} may import ${allowed.join(', ')}; hand it in as a parameter or an interface`);
      for (const rule of narrower) {
        const hit =
          file.path.startsWith(rule.from) && rule.not.some((prefix) => target.startsWith(prefix)) && !rule.except.some((prefix) => target.startsWith(prefix));
        if (hit) problems.push(`${file.path} imports ${target}: ${rule.advice}`);
      }
    }
  }
  none(problems);
});

test('every relative import names a file that exists', () => {
  const missing = sources.flatMap((file) =>
    file.imports
      .filter((target) => isOwn(target) && !existsSync(join(projectRoot, target)))
      .map((target) => `${file.path} imports ${target}: no such file (write the .ts ending)`),
  );
  none(missing);
});

/** Built-in modules that give the same answer for the same input. */
const deterministicModules = new Set([
  'node:zlib',
  'node:buffer',
  'node:crypto',
  'node:assert',
  'node:assert/strict',
  'node:util',
  'node:path',
  'node:url',
  'node:events',
]);
/** Packages that neither keep time nor talk to anybody. */
const deterministicPackages = new Set(['zod', '@node-rs/crc32', 'fzstd', 'lz4-napi', 'snappy']);
const simulated = ['broker', 'cluster', 'operator', 'std'];

const nondeterminism: readonly { readonly pattern: RegExp; readonly instead: string }[] = [
  { pattern: /\bDate\b/, instead: 'Clock.wallMs() from io' },
  { pattern: /\bperformance\b|\bprocess\.hrtime\b/, instead: 'Clock.monotonicMs() from io' },
  { pattern: /\bset(?:Timeout|Interval)\b|\bAbortSignal\.timeout\b/, instead: 'Clock.setTimer() or sleep(clock, …) from io' },
  { pattern: /\bsetImmediate\b|\bnextTick\b|\bqueueMicrotask\b/, instead: 'Clock.defer() from io' },
  { pattern: /\bMath\.random\b|\brandom(?:UUID|Bytes|Int|FillSync)\b|\bgetRandomValues\b/, instead: 'Random from io' },
  { pattern: /\bWeakRef\b|\bFinalizationRegistry\b/, instead: 'an explicit close()' },
  { pattern: /\bprocess\.(?:env|argv|exit|on|once|memoryUsage|pid)\b/, instead: 'a parameter; the command line (cli/) owns the process' },
  { pattern: /\bfetch\(\s*['"`h]/, instead: 'Transport from io' },
];

test('broker, cluster, operator and std reach the world only through io', () => {
  const problems: string[] = [];
  for (const file of production.filter((candidate) => simulated.includes(layerOf(candidate.path)))) {
    for (const target of file.imports) {
      if (target.startsWith('node:') && !deterministicModules.has(target))
        problems.push(`${file.path} imports ${target}: take an interface of io (Io in io/io.ts)`);
      if (isPackage(target) && !deterministicPackages.has(packageName(target)))
        problems.push(`${file.path} imports ${target}: wrap it in io/ behind an interface`);
      if (layerOf(target) === 'io' && reachesTheWorld(target))
        problems.push(`${file.path} imports ${target}, which is a real one: import its interface and let cli/ or the test hand the real one in`);
    }
    file.code.split('\n').forEach((line, index) => {
      for (const { pattern, instead } of nondeterminism)
        if (pattern.test(line)) problems.push(`${file.path}:${index + 1} "${line.trim().slice(0, 80)}": use ${instead}`);
    });
  }
  none(problems);
});

test('nothing unfinished is left behind', () => {
  const words = /\b(?:TO[D]O|FIX[M]E|XX[X]|HAC[K])\b/;
  const notRun = /\b(?:it|test|describe|suite)\.(?:skip|todo|only)\b|[{,]\s*(?:skip|todo|only):|\bt\.(?:skip|todo)\(|\bdebugger\b/;
  const problems = [...sources.map((file) => file.path), ...listFiles(['.md', '.sh', '.yaml', '.yml', '.c', 'Makefile'])].flatMap((path) =>
    matches(path, words, 'finish it, or write an issue'),
  );
  for (const file of sources) {
    file.code.split('\n').forEach((line, index) => {
      if (notRun.test(line))
        problems.push(
          `${file.path}:${index + 1} "${line.trim().slice(0, 80)}": a test runs or does not exist; register it only where its server is configured`,
        );
    });
  }
  none(problems);
});

test('no paths of a machine, no registry hosts, no credentials', () => {
  const machine = /(?<![\w.:/])\/(?:wor[k]|far[m]|roo[t]|hom[e])\/\w/;
  const problems = listFiles(['.ts', '.md', '.json', '.sh', '.yaml', '.yml', '.c', '.xml', '.properties', 'Makefile', 'Dockerfile', '.npmrc', 'run']).flatMap(
    (path) => [
      ...matches(path, machine, 'use a path relative to the project, or the cache folder (test/lab/cache.ts)'),
      ...matches(path, /_auth[T]oken|npm_[A-Za-z0-9]{36}/, 'remove the credential and revoke it'),
    ],
  );
  problems.push(...matches('package-lock.json', /"resolved": "(?!file:)/, 'npm install with omit-lockfile-registry-resolved=true (.npmrc)'));
  none(problems);
});

test('file names are kebab-case and say what is inside', () => {
  const vague = /^(?:index|utils?|helpers?|common|misc|manager|data|info)\.ts$/;
  const problems: string[] = [];
  for (const { path } of sources) {
    const name = path.split('/').at(-1) ?? '';
    if (!/^[a-z0-9]+(?:-[a-z0-9]+)*(?:\.(?:test|bench|gen))?\.ts$/.test(name)) problems.push(`${path}: kebab-case`);
    if (vague.test(name)) problems.push(`${path}: name the one idea inside`);
  }
  none(problems);
});

test('a source file begins by saying what it is, and holds one idea', () => {
  const problems: string[] = [];
  for (const { path, text } of production) {
    if (path.endsWith('.gen.ts')) continue;
    const first = text.replace(/^#!.*\n/, '').trimStart();
    if (!first.startsWith('/*') && !first.startsWith('//')) problems.push(`${path}: open with two to ten lines that say what it is and name the source`);
    const lines = text.split('\n').length;
    if (lines > 500) problems.push(`${path}: ${lines} lines: look for the second idea`);
  }
  none(problems);
});

test('every file is used by a program, not only by its own test', () => {
  const entries = sources.filter(
    ({ path }) =>
      path === 'cli/automq.ts' ||
      /^(?:scripts|bench)\//.test(path) ||
      path.startsWith('test/') ||
      (path.endsWith('.test.ts') && !byPath.has(path.replace(/\.test\.ts$/, '.ts'))),
  );
  const reached = reachableFrom(entries.map((file) => file.path));
  const reachedByTests = reachableFrom(sources.filter((file) => file.path.endsWith('.test.ts')).map((file) => file.path));
  const dead = sources
    .filter((file) => (file.path.includes('/testing/') ? !reachedByTests.has(file.path) : !file.isTest && !reached.has(file.path)))
    .map((file) => `${file.path}: nothing uses it: wire it in or remove it`);
  none(dead);
});

interface Lock {
  readonly packages: Readonly<
    Record<
      string,
      {
        readonly dev?: boolean;
        readonly os?: unknown;
        readonly cpu?: unknown;
        readonly integrity?: string;
        readonly link?: boolean;
        readonly optional?: boolean;
      }
    >
  >;
}
interface Package {
  readonly dependencies: Readonly<Record<string, string>>;
  readonly devDependencies: Readonly<Record<string, string>>;
}
const manifest = JSON.parse(readText('package.json')) as Package;
const lock = JSON.parse(readText('package-lock.json')) as Lock;

test('few dependencies, pinned, each with a reason', () => {
  const direct = Object.keys(manifest.dependencies);
  assert.ok(direct.length <= 12, `${direct.length} direct runtime dependencies, at most 12: do without one`);
  // Prebuilt binaries come as one package per platform, of which a machine installs one or two.
  const installed = Object.entries(lock.packages).filter(([path, entry]) => path !== '' && !entry.dev && !entry.os && !entry.cpu);
  assert.ok(installed.length <= 220, `${installed.length} packages at run time, at most 220: look at what the last one brought (npm ls --all)`);
  const problems: string[] = [];
  // scripts/complete-lock.ts adds other platforms' binaries without one: the registry at hand need not carry them.
  for (const [path, entry] of Object.entries(lock.packages))
    if (path !== '' && !entry.integrity && !entry.link && !(entry.optional && entry.os))
      problems.push(`package-lock.json: ${path} has no integrity: only registry packages`);
  const reasons = readText('docs/dependencies.md');
  for (const [name, version] of Object.entries({ ...manifest.dependencies, ...manifest.devDependencies })) {
    if (!/^\d+\.\d+\.\d+$/.test(version)) problems.push(`package.json: ${name} ${version}: pin it (npm install --save-exact)`);
    if (!reasons.includes(`| \`${name}\` |`)) problems.push(`docs/dependencies.md has no row for ${name}: say why we need it`);
  }
  for (const [, name] of reasons.matchAll(/^\| `([^`]+)` \|/gm))
    if (name && !(name in manifest.dependencies) && !(name in manifest.devDependencies))
      problems.push(`docs/dependencies.md: ${name} is no longer a dependency: remove its row`);
  none(problems);
});

test('links in the documents lead somewhere', () => {
  const problems: string[] = [];
  for (const path of listFiles(['.md'])) {
    for (const [, target] of readText(path).matchAll(/\]\(([^)#\s]+)(?:#[^)]*)?\)/g)) {
      if (target && !/^[a-z]+:/.test(target) && !existsSync(join(projectRoot, dirname(path), target))) problems.push(`${path}: ${target} does not exist`);
    }
  }
  none(problems);
});

function none(problems: readonly string[]): void {
  assert.equal(problems.length, 0, `\n  ${problems.slice(0, 40).join('\n  ')}${problems.length > 40 ? `\n  … and ${problems.length - 40} more` : ''}`);
}

function matches(path: string, pattern: RegExp, instead: string): string[] {
  return readText(path)
    .split('\n')
    .flatMap((line, index) => (pattern.test(line) ? [`${path}:${index + 1} "${line.trim().slice(0, 80)}": ${instead}`] : []));
}

function isOwn(target: string): boolean {
  return /^(?:bench|broker|cli|cluster|io|operator|scripts|std|test)\//.test(target);
}

function isPackage(target: string): boolean {
  return !isOwn(target) && !target.startsWith('node:') && !target.endsWith('.ts');
}

function packageName(specifier: string): string {
  return specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');
}

/** Whether a file of io, or what it imports, uses a built-in module or a package that talks, keeps time or draws lots. */
function reachesTheWorld(path: string): boolean {
  return [...reachableFrom([path])].some((reached) =>
    (byPath.get(reached)?.imports ?? []).some(
      (target) => (target.startsWith('node:') && !deterministicModules.has(target)) || (isPackage(target) && !deterministicPackages.has(packageName(target))),
    ),
  );
}

function reachableFrom(paths: readonly string[]): Set<string> {
  const reached = new Set<string>();
  const open = [...paths];
  for (let path = open.pop(); path !== undefined; path = open.pop()) {
    if (reached.has(path)) continue;
    reached.add(path);
    const file: SourceFile | undefined = byPath.get(path);
    if (file) open.push(...file.imports.filter(isOwn));
  }
  return reached;
}
