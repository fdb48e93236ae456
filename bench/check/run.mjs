// `npm run bench:check`: compiles these TypeScript files with the project's own compiler and runs main.ts.
import { spawnSync } from 'node:child_process'
import { dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

const here = dirname(fileURLToPath(import.meta.url))
const root = join(here, '..', '..')
const out = process.env.GRACEWALK_BENCH_OUT ?? join(root, 'node_modules', '.cache', 'gracewalk-bench-check')

const options = ['--noEmit', 'false', '--outDir', out, '--rootDir', root, '--target', 'ES2022', '--lib', 'ES2024', '--module', 'nodenext']
const strict = ['--rewriteRelativeImportExtensions', '--allowImportingTsExtensions', 'false', '--types', 'node', '--skipLibCheck']
const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc')
const result = spawnSync(process.execPath, [tsc, '--ignoreConfig', ...options, ...strict, join(here, 'main.ts')], {
  encoding: 'utf8',
  cwd: root,
})
if (result.status !== 0) {
  console.error(`${result.stdout}${result.stderr}`)
  process.exit(2)
}
const { main } = await import(pathToFileURL(join(out, 'bench', 'check', 'main.js')).href)
process.exitCode = await main(process.argv.slice(2), pathToFileURL(join(root, 'dist', '/')).href)
