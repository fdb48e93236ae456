// Builds dist/: the lists of what there is, the TypeScript compiler, then the stepped build of src/kernel (made by our own compile/).
import { spawnSync } from 'node:child_process'
import { chmodSync, existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { writeRegistries } from './registry.mjs'

const root = fileURLToPath(new URL('..', import.meta.url))
const tsc = fileURLToPath(new URL('../node_modules/typescript/bin/tsc', import.meta.url))
writeRegistries()
const { status } = spawnSync(process.execPath, [tsc, '-p', `${root}tsconfig.build.json`], { stdio: 'inherit' })
if (existsSync(`${root}dist/compile/build.js`)) {
  const { buildStepped } = await import('../dist/compile/build.js')
  await buildStepped(`${root}src/kernel`, `${root}dist/stepped/kernel`)
}
if (existsSync(`${root}dist/compile/fold.js`)) {
  const { foldConstants } = await import('../dist/compile/fold.js')
  await foldConstants(`${root}dist/kernel`)
}
if (existsSync(`${root}dist/cli/main.js`)) chmodSync(`${root}dist/cli/main.js`, 0o755)
process.exit(status ?? 1)
