// `npm run test:linux`: compiles these TypeScript files with the project's own compiler and runs main.ts.
// A separate step because Node 20 does not read TypeScript.

import { spawnSync } from 'node:child_process'
import { copyFileSync, mkdirSync, readdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

const here = dirname(fileURLToPath(import.meta.url))
const root = join(here, '..', '..')
const out = join(root, 'node_modules', '.cache', 'gracewalk-test-linux')
const compiled = join(out, 'test', 'linux')

const options = ['--noEmit', 'false', '--outDir', out, '--rootDir', root, '--target', 'ES2022', '--module', 'nodenext']
const strict = [
  '--rewriteRelativeImportExtensions',
  '--allowImportingTsExtensions',
  'false',
  '--types',
  'node',
  '--skipLibCheck',
  '--noCheck',
]
const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc')
const command = [tsc, '--ignoreConfig', ...options, ...strict, join(here, 'main.ts')]
const result = spawnSync(process.execPath, command, { encoding: 'utf8', cwd: root })
if (result.status !== 0) {
  console.error(`${result.stdout}${result.stderr}`)
  process.exit(2)
}
mkdirSync(compiled, { recursive: true })
for (const name of readdirSync(here)) {
  if (/\.(c|h|gz)$/.test(name)) copyFileSync(join(here, name), join(compiled, name))
}
const { main } = await import(pathToFileURL(join(compiled, 'main.js')).href)
try {
  process.exitCode = await main(process.argv.slice(2))
} catch (error) {
  // A wrong option or an unreadable file; everything else is a bug and keeps its stack.
  console.error(typeof error.code === 'string' ? error.message : error)
  process.exitCode = 2
}
