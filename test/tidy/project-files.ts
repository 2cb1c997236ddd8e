/**
 * The project's own files as the tidiness test sees them: text, code without comments and literals, and imports.
 * Found by walking the tree (not by git), so that it works in an unpacked release, too.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

export interface SourceFile {
  /** From the project's root, with slashes: `broker/log/wal.ts`. */
  readonly path: string;
  readonly text: string;
  /** The text with comments blanked and the contents of strings, templates and regular expressions removed; same line numbers. */
  readonly code: string;
  /** What it imports or exports from: a path as above for files of the project, else the specifier. */
  readonly imports: readonly string[];
  readonly isTest: boolean;
}

export const projectRoot = findRoot(dirname(fileURLToPath(import.meta.url)));

const skippedFolders = new Set(['node_modules', 'dist', '.build', '.cache', '.git', 'data']);

/** All files below `folder` whose name ends with one of `endings`, ascending. */
export function listFiles(endings: readonly string[], folder = projectRoot): string[] {
  const found: string[] = [];
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    if (skippedFolders.has(entry.name)) continue;
    const path = join(folder, entry.name);
    if (entry.isDirectory()) found.push(...listFiles(endings, path));
    else if (endings.some((ending) => entry.name.endsWith(ending))) found.push(relative(projectRoot, path).split(sep).join('/'));
  }
  return found.sort();
}

export function readText(path: string): string {
  return readFileSync(join(projectRoot, path), 'utf8');
}

export function readSourceFile(path: string): SourceFile {
  const text = readText(path);
  return { path, text, code: stripComments(text), imports: importsOf(path, text), isTest: isTest(path) };
}

/** Tests, and what only tests use: the folders called testing. */
function isTest(path: string): boolean {
  return path.endsWith('.test.ts') || path.startsWith('test/') || path.includes('/testing/');
}

function importsOf(path: string, text: string): string[] {
  const specifiers = [
    ...text.matchAll(/^\s*(?:import|export)\s[^'"`;]*?from\s*['"]([^'"]+)['"]|^\s*import\s*['"]([^'"]+)['"]|\bimport\(\s*['"]([^'"]+)['"]/gm),
  ];
  return specifiers.map((match) => {
    const specifier = match[1] ?? match[2] ?? match[3] ?? '';
    return specifier.startsWith('.') ? join(dirname(path), specifier).split(sep).join('/') : specifier;
  });
}

/** Good enough for our own formatted code: a slash after an operator, bracket or keyword begins a regular expression. */
function stripComments(text: string): string {
  const token =
    /\/\*[\s\S]*?\*\/|\/\/[^\n]*|'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|`(?:\\[\s\S]|[^`\\])*`|(?<=(?:[(,=:[!&|?{};+]|\breturn|=>)\s*)\/(?![*/])(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\\n[])+\/[a-z]*/g;
  return text.replace(token, (match) => {
    const first = match[0];
    if (first === '`') return `\`${[...match.matchAll(/\$\{([^}]*)\}/g)].map((inner) => inner[1]).join(' ')}${match.replace(/[^\n]/g, '')}\``;
    if (first === "'" || first === '"') return `${first}${first}`;
    return match.replace(/[^\n]/g, ' ');
  });
}

function findRoot(folder: string): string {
  let candidate = folder;
  while (!existsSync(join(candidate, 'package.json'))) {
    const parent = dirname(candidate);
    if (parent === candidate) throw new Error(`no package.json above ${folder}`);
    candidate = parent;
  }
  return candidate;
}
