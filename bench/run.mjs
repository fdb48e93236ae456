// `npm run bench`: compiles these TypeScript files with the project's own compiler and runs main.ts against dist/, so that
// what is measured is what ships. A separate step because Node 20 does not read TypeScript. DIST names another build.
import { spawnSync } from 'node:child_process'
import { copyFileSync, existsSync, rmSync, symlinkSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

const here = dirname(fileURLToPath(import.meta.url))
const root = join(here, '..')
const dist = resolve(process.env.DIST ?? join(root, 'dist'))
const out = join(root, 'node_modules', '.cache', `gracewalk-bench-${process.pid}`)

if (!existsSync(join(dist, 'machine', 'machine.js'))) {
  console.error(`${dist} holds no build: run 'npm run build' first`)
  process.exit(2)
}
const options = ['--noEmit', 'false', '--outDir', out, '--rootDir', root, '--target', 'ES2022', '--lib', 'ES2024', '--module', 'nodenext']
const strict = ['--rewriteRelativeImportExtensions', '--allowImportingTsExtensions', 'false', '--types', 'node', '--skipLibCheck']
const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc')
const files = [join(here, 'main.ts'), join(here, 'loops.ts'), join(here, 'latency-loops.ts')]
const result = spawnSync(process.execPath, [tsc, '--ignoreConfig', ...options, ...strict, ...files], { encoding: 'utf8', cwd: root })
try {
  if (result.status !== 0) throw new Error(`${result.stdout}${result.stderr}`)
  rmSync(join(out, 'src'), { recursive: true, force: true })
  symlinkSync(dist, join(out, 'src'), 'junction')
  copyFileSync(join(here, 'linux.c'), join(out, 'bench', 'linux.c'))
  const { main } = await import(pathToFileURL(join(out, 'bench', 'main.js')).href)
  process.exitCode = await main(process.argv.slice(2))
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 2
} finally {
  rmSync(out, { recursive: true, force: true })
}
