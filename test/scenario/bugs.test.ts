// docs/bugs.md: every bug of the list has a row, and every command in it names what there is and is expected to come to the verdict that
// its column says. That it does is for the matrix.
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { SCENARIOS } from '../../src/scenario/all.ts'
import { AXES, LISTS } from '../../src/scenario/runner/axes.ts'
import { type Cell, cellsOf } from '../../src/scenario/runner/cells.ts'

const IDS =
  `B1 B2 B3 B4 B5 B6 B8 B11 B12 B13 B15 B17a B17b B17c B17d B17e B17f B17g B18 B19 B21 B22 B23 B25 B26 B27 B29 B30 C1 C2 C3 C4 C5 C6 C7 C8 C9`.split(
    ' ',
  )

interface Row {
  readonly id: string
  readonly found: string
  readonly right: string
}

const rows: readonly Row[] = readFileSync(fileURLToPath(new URL('../../docs/bugs.md', import.meta.url)), 'utf8')
  .split('\n')
  .filter((line) => /^\| [BC]\d/.test(line))
  .map((line) => line.split('|').map((cell) => cell.trim()))
  .map(([, id, , found, right]) => ({ id: id as string, found: found as string, right: right as string }))

/** The commands of a cell of the table, without `check`. */
function commands(cell: string): string[][] {
  return [...cell.matchAll(/`check ([^`]+)`/g)].map((match) => (match[1] as string).split(' '))
}

/** What a command checks. */
function cellsFor([name, ...options]: string[]): readonly Cell[] {
  const [scenario, variant] = (name as string).split(':')
  const wanted: Record<string, readonly string[]> = {}
  for (let i = 0; i < options.length; i += 2) {
    const axis = Object.keys(LISTS).find((list) => options[i] === `--${LISTS[list as keyof typeof LISTS]}`) as keyof typeof LISTS
    expect(AXES[axis], options.join(' ')).toContain(options[i + 1])
    wanted[axis] = [options[i + 1] as string]
  }
  const known = SCENARIOS.filter((one) => one.name === scenario)
  expect(known, `${name}`).toHaveLength(1)
  return cellsOf(known, { ...wanted, variants: variant ?? false })
}

const isUnsafe = ({ expected }: Cell): boolean => expected !== null && expected !== 'safe'

describe('docs/bugs.md', () => {
  it('has a row for each bug, in order', () => {
    expect(rows.map(({ id }) => id)).toEqual(IDS)
  })

  it('says of each how it is found, or what is missing', () => {
    for (const { id, found, right } of rows) {
      const missing = /^not expressible( yet)?: [a-z]/.test(found)
      expect(commands(found).length > 0, id).toBe(!missing)
      expect(commands(right).length > 0, id).toBe(!missing)
    }
  })

  it.each(rows.filter(({ right }) => right !== ''))(
    '$id: what finds it is expected to, and the right form to be safe',
    ({ found, right }) => {
      for (const command of commands(found)) {
        const cells = cellsFor(command)
        expect(cells.length, command.join(' ')).toBeGreaterThan(0)
        expect(cells.every(isUnsafe), command.join(' ')).toBe(true)
      }
      for (const command of commands(right)) {
        const cells = cellsFor(command)
        expect(cells.length, command.join(' ')).toBeGreaterThan(0)
        expect(cells.map(({ expected }) => expected)).toEqual(cells.map(() => 'safe'))
      }
    },
  )

  it('names no scenario or variant that there is not', () => {
    const names = new Set(SCENARIOS.flatMap(({ name, variants = [] }) => [name, ...variants.map((one) => `${name}:${one.name}`)]))
    const others = new Set<string>([...AXES.designs, ...AXES.freeing])
    for (const { found } of rows)
      for (const [, text] of found.matchAll(/`([a-z0-9-]+-[a-z0-9:*-]+)`/g))
        expect(names.has(text as string) || others.has(text as string), text).toBe(true)
  })
})
