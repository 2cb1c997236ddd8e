/**
 * Where fetched and built programs are kept between runs: `$LAB_CACHE`, else the user's cache folder. Everything in it
 * can be deleted at any time. A thing is built beside its place and renamed, so that a broken build is never found there.
 */
import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const cacheFolder = process.env['LAB_CACHE'] ?? join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'automq-lab');

/** The project's folder, wherever the compiler put this file. */
export const projectFolder = findProject(dirname(fileURLToPath(import.meta.url)));

/** A file of the lab that the compiler does not copy (`kafka/pom.xml`). */
export function labFile(path: string): string {
  return join(projectFolder, 'test', 'lab', path);
}

/** A Go program at a pinned version, built once. */
export function goProgram(name: string, packagePath: string, version: string): string {
  const target = join(cacheFolder, 'bin', name);
  return builtOnce(target, `${packagePath}@${version}`, (work) => {
    run('go', ['install', '-ldflags', '-s -w', `${packagePath}@${version}`], { GOBIN: work, GOFLAGS: '-modcacherw' });
    renameSync(join(work, packagePath.split('/').at(-1) ?? name), target);
  });
}

/** A Go program of a module with its own go.mod in the lab (needed where a plain `go install` is refused). */
export function goModuleProgram(name: string, folder: string, packagePath: string): string {
  const target = join(cacheFolder, 'bin', name);
  return builtOnce(target, readFileSync(join(labFile(folder), 'go.mod'), 'utf8'), (work) => {
    cpSync(labFile(folder), join(work, 'module'), { recursive: true });
    run(
      'go',
      ['build', '-trimpath', '-ldflags', '-s -w', '-o', join(work, name), packagePath],
      { CGO_ENABLED: '0', GOWORK: 'off', GOFLAGS: '-modcacherw' },
      join(work, 'module'),
    );
    renameSync(join(work, name), target);
  });
}

/** Runs `build` unless `target` was made from the same `recipe` before. */
export function builtOnce(target: string, recipe: string, build: (workFolder: string) => void): string {
  const stamp = `${target}.made-from`;
  if (existsSync(target) && existsSync(stamp) && readFileSync(stamp, 'utf8') === recipe) return target;
  mkdirSync(dirname(target), { recursive: true });
  rmSync(target, { recursive: true, force: true });
  const work = mkdtempSync(join(cacheFolder, 'work-'));
  try {
    console.error(`lab: making ${target} (once; minutes)`);
    build(work);
    writeFileSync(stamp, recipe);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  return target;
}

export function run(command: string, args: readonly string[], env: Readonly<Record<string, string>> = {}, cwd?: string): void {
  execFileSync(command, args, { stdio: ['ignore', 'inherit', 'inherit'], env: { ...process.env, ...env }, ...(cwd ? { cwd } : {}) });
}

function findProject(folder: string): string {
  let candidate = folder;
  while (!existsSync(join(candidate, 'package.json'))) {
    if (dirname(candidate) === candidate) throw new Error(`no package.json above ${folder}`);
    candidate = dirname(candidate);
  }
  return candidate;
}
