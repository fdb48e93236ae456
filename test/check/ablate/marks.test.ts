// Marks: that each says of its own place, and of no other, that it is executed, and that a marked kernel does what it did before.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseSync } from 'oxc-parser'
import { afterAll, describe, expect, it } from 'vitest'
import { ablate, edited, findSites, markSites, readKernelFiles } from '../../../src/check/ablate/index.ts'
import { stepVariant, variantTree } from '../../../src/check/ablate/variant-tree.ts'
import { explore } from '../../../src/check/explore/index.ts'
import { openTree, type Tree } from '../../../src/check/index.ts'
import { readBuiltKernel } from '../../../src/compile/build.ts'
import { SCENARIOS } from '../../../src/scenario/all.ts'
import { cellOf } from '../../../src/scenario/runner/check.ts'
import { clearMarks, readMarks } from '../../../src/scenario/runner/coverage.ts'
import { rehearse } from '../../../src/scenario/runner/rehearse.ts'

const files = readKernelFiles(fileURLToPath(new URL('../../../src/kernel', import.meta.url)))
const sites = findSites(files)
const out = mkdtempSync(join(tmpdir(), 'gracewalk-'))
afterAll(() => rmSync(out, { recursive: true }))

/** The numbers of `places` (their texts) in `lines` of a function `f`, and the function. */
function marked(lines: readonly string[], places: readonly string[]): { readonly text: string; run(...given: unknown[]): number[] } {
  const text = `export function f(a: number, b: number): number {\n${lines.join('\n')}\n}\n`
  const before = (place: string): string => text.slice(0, text.indexOf(place))
  const found = places.map((place) => {
    expect(text).toContain(place)
    const line = before(place).split('\n').length
    const column = before(place).length - before(place).lastIndexOf('\n')
    return { ...(sites[0] as (typeof sites)[0]), id: place, file: 'vma/tiny.ts', line, column }
  })
  const { edits, of } = markSites({ 'vma/tiny.ts': text }, found)
  const after = edited({ 'vma/tiny.ts': text }, edits)['vma/tiny.ts'] as string
  const bodyOf = (code: string): string => code.replace(/^(import.*?; )*export /, '').replaceAll(': number', '')
  return {
    text: after,
    run: (...given) => {
      const seen = new Set<number>()
      const reached = (n: number): boolean => seen.add(n) !== null
      const g = (value: number): number => value
      const run = (code: string): unknown => new Function('$reached', 'g', `${bodyOf(code)}; return f`)(reached, g)(...given)
      // Marks change nothing.
      expect(run(after)).toBe(run(text))
      return places.map((place) => (seen.has(of.get(place) as number) ? 1 : 0))
    },
  }
}

describe('a mark', () => {
  it('is executed with its statement, in braces or without', () => {
    const { run } = marked(
      ['if (a > 0) g(1)', 'else if (b > 0) g(2)', 'else {', '  g(3)', '}', 'return g(4)'],
      ['g(1)', 'g(2)', 'g(3)', 'g(4)'],
    )
    expect([run(1, 0), run(0, 1), run(0, 0)]).toEqual([
      [1, 0, 0, 1],
      [0, 1, 0, 1],
      [0, 0, 1, 1],
    ])
  })

  it('is executed with the part of a condition that may be skipped', () => {
    const { run } = marked(
      ['if (g(a) > 0 && (g(b) > 0 || a + g(9) > b)) return a > 5 ? g(5) : g(6)', 'return 0'],
      ['g(a)', 'g(b)', 'g(9)', 'g(5)', 'g(6)'],
    )
    expect([run(0, 0), run(1, 1), run(6, 0)]).toEqual([
      [1, 0, 0, 0, 0],
      [1, 1, 0, 0, 1],
      [1, 1, 1, 1, 0],
    ])
  })

  it('leaves values, loops and labels as they are', () => {
    const lines = [
      'let n = 0',
      'outer: for (;;) {',
      '  for (let i = g(0); ; i++) if (i > a) continue outer',
      '  else if (n++ > b) break outer',
      '}',
      'return n',
    ]
    const { text, run } = marked(lines, ['g(0)', 'continue', 'break', 'n++'])
    expect(text).toContain('outer: for')
    expect(run(2, 5)).toEqual([1, 1, 1, 1])
    expect(run(2, -2)).toEqual([1, 0, 1, 1])
  })

  it('is executed with what a loop does between its turns', () => {
    const { run } = marked(
      ['let n = 0', 'do if (a > 4) return n', 'while (g(n++) < a)', 'for (let i = 0; i < b; g(i++)) n++', 'return n'],
      ['g(n++)', 'g(i++)'],
    )
    expect([run(0, 0), run(0, 1), run(5, 0)]).toEqual([
      [1, 0],
      [1, 1],
      [0, 0],
    ])
  })

  it('is one for all sites of a statement', () => {
    const { text } = marked(['return g(1) + g(2)'], ['g(1)', 'g(2)'])
    expect(text.match(/reached\(\d+\)/g)).toHaveLength(1)
  })
})

describe('the marked kernel', () => {
  const { edits, of } = markSites(files, sites)
  const all = edited(files, edits)
  let tree: Promise<Tree> | null = null
  const markedTree = (): Promise<Tree> => {
    if (tree === null) {
      variantTree(fileURLToPath(new URL('../../../dist/stepped/kernel', import.meta.url)), all, join(out, 'kernel'), { ignoreRules: true })
      tree = openTree(join(out, 'kernel'))
    }
    return tree
  }

  it('has a mark for each site', () => {
    for (const { id, file } of sites) expect(all[file], id).toContain(`$reached(${of.get(id)})`)
  })

  it('is taken by the stepped build with each site changed', () => {
    const { summary } = readBuiltKernel()
    for (const site of sites) {
      const marks = markSites(files, [site])
      site.variants.forEach((_, variant) => {
        const changed = ablate(files, site, variant, marks.edits)
        expect(changed[site.file]?.match(/reached\(\d+\)/g), site.id).toHaveLength(1)
        for (const { path, stepped } of stepVariant(changed, summary, 1, { ignoreRules: true }).modules) {
          expect(parseSync(`${path}.js`, stepped.code, { sourceType: 'module', lang: 'js' }).errors, site.id).toEqual([])
        }
      })
    }
  })

  // Spinlocks that wait are one step, also with marks in them.
  it.each(['spinlock-exclusion', 'fault-vs-fault', 'fault-vs-fork', 'rcu-reader-vs-updater', 'maple-lookup-vs-store'])(
    'does in %s what it does without marks',
    async (name) => {
      const cell = cellOf(SCENARIOS.find((one) => one.name === name)!)
      const [plain, withMarks] = [await rehearse(cell), await rehearse(cell, { tree: await markedTree() })]
      const how = { mode: 'bounded', preemptions: 1 } as const
      const before = explore(plain.model, how)
      clearMarks(withMarks.tree)
      const { verdict, executions, states } = explore(withMarks.model, how)
      expect([verdict, executions, states]).toEqual([before.verdict, before.executions, before.states])
      expect(readMarks(withMarks.tree).length).toBeGreaterThan(0)
    },
  )
})
