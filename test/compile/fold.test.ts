// Constant folding of the native build: names of frozen tables and numbers go, everything else stays as it was.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { expect, test } from 'vitest'
import { foldConstants } from '../../src/compile/fold.ts'

const TABLES = `export const Table = Object.freeze({ one: 1, minus: -2 })
export const LIMIT = 7
export let bound = 3
export const loose = { one: 1 }
`
const USES = `import { Table, LIMIT as most, bound, loose } from './tables.js'
export function sum(x) {
  const own = { one: x, most }
  return x - Table.minus + most + bound + loose.one + own.one + own.most + Table[x === 0 ? 'one' : 'minus']
}
export { most }
`

test('gives the same results with fewer names', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'gracewalk-fold-'))
  try {
    writeFileSync(join(dir, 'package.json'), '{ "type": "module" }')
    writeFileSync(join(dir, 'tables.js'), TABLES)
    writeFileSync(join(dir, 'uses.js'), USES)
    const before = (await import(`${pathToFileURL(join(dir, 'uses.js')).href}?before`)) as { sum(x: number): number; most: number }
    const results = [before.sum(0), before.sum(5), before.most]
    expect(await foldConstants(dir)).toBe(2)
    const text = readFileSync(join(dir, 'uses.js'), 'utf8')
    expect(text).toContain('x - (-2) + 7 + bound + loose.one + own.one + own.most + Table[x')
    expect(text.split('\n')).toHaveLength(USES.split('\n').length)
    const after = (await import(`${pathToFileURL(join(dir, 'uses.js')).href}?after`)) as { sum(x: number): number; most: number }
    expect([after.sum(0), after.sum(5), after.most]).toEqual(results)
  } finally {
    rmSync(dir, { recursive: true })
  }
})

test('leaves no field of a per-CPU area to be looked up in the built kernel', () => {
  const built = new URL('../../dist/kernel/fault/anonymous.js', import.meta.url)
  expect(readFileSync(built, 'utf8')).not.toMatch(/Cpu\.|Vma\./)
})
