// `npm run bench`: compiles these TypeScript files with the project's own compiler and runs main.ts.
// A separate step because Node 20 does not read TypeScript.
import { spawnSync } from 'node:child_process'
import { copyFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

const here = dirname(fileURLToPath(import.meta.url))
const root = join(here, '..')
const out = process.env.GRACEWALK_BENCH_OUT ?? join(root, 'node_modules', '.cache', 'gracewalk-bench')

const options = ['--noEmit', 'false', '--outDir', out, '--rootDir', root, '--target', 'ES2022', '--module', 'nodenext']
const strict = ['--rewriteRelativeImportExtensions', '--allowImportingTsExtensions', 'false', '--types', 'node', '--skipLibCheck']
const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc')
const files = [join(here, 'main.ts'), join(here, 'loops.ts'), join(root, 'src', 'threads', 'cpu-worker.ts')]
const result = spawnSync(process.execPath, [tsc, '--ignoreConfig', ...options, ...strict, ...files], { encoding: 'utf8', cwd: root })
if (result.status !== 0) {
  console.error(`${result.stdout}${result.stderr}`)
  process.exit(2)
}
copyFileSync(join(here, 'linux.c'), join(out, 'bench', 'linux.c'))
const { main } = await import(pathToFileURL(join(out, 'bench', 'main.js')).href)
process.exitCode = await main(process.argv.slice(2))
