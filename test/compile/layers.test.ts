// The house: imports point downwards, rooms have no cycles, leaves import nobody, no file is longer than 400 lines.
import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { readModule } from '../../src/compile/module.ts'
import { parseSource, resolveSpecifier } from '../../src/compile/source.ts'

const root = fileURLToPath(new URL('../../src/', import.meta.url))
const files = readdirSync(root, { recursive: true })
  .map((file) => String(file).replaceAll('\\', '/'))
  .filter((file) => file.endsWith('.ts'))
  .sort()

/** Storeys of the house, lowest first; what stands on one line does not know each other. */
const HOUSE = [
  ['kernel'],
  ['compile', 'abi'],
  ['machine'],
  ['threads', 'check', 'simulate'],
  ['scenario', 'workload', 'library'],
  ['report'],
  ['cli', 'index.ts', 'check.ts'],
]
const LEAVES = ['trace', 'oracle']
const ROOMS = ['machine', 'arch', 'sync', 'memory', 'pagetable', 'vma', 'softirq.ts', 'fault', 'design', 'syscall', 'khugepaged', 'proc']
/** The interface of designs: everybody above machine/ may call it. */
const INTERFACE = 'kernel/design/design.ts'

/** file → modules of src/ that it imports, types included (`all`) or not (`code`). */
const imports = new Map(
  files.map((file) => {
    const { program } = parseSource(file, readFileSync(root + file, 'utf8'))
    const all: string[] = []
    const code: string[] = []
    for (const node of program.body) {
      if (node.type !== 'ImportDeclaration' && node.type !== 'ExportNamedDeclaration' && node.type !== 'ExportAllDeclaration') continue
      if (node.source === null) continue
      const target = resolveSpecifier(file, node.source.value)
      if (target === null) {
        if (node.source.value.startsWith('.')) all.push(`(outside src) ${node.source.value}`)
        continue
      }
      all.push(target)
      const kind = node.type === 'ImportDeclaration' ? node.importKind : node.exportKind
      const onlyTypes =
        node.type === 'ImportDeclaration' &&
        node.specifiers.length > 0 &&
        node.specifiers.every((s) => s.type === 'ImportSpecifier' && s.importKind === 'type')
      if (kind !== 'type' && !onlyTypes) code.push(target)
    }
    return [file, { all, code }] as const
  }),
)

const storey = (file: string): number => HOUSE.findIndex((rooms) => rooms.includes(file.split('/')[0] as string))
/** A room's height; files beside the rooms (`kernel/kernel.ts`) are above all of them unless they are named. */
const room = (file: string): number => {
  const at = ROOMS.indexOf(file.split('/')[1] as string)
  return at < 0 && file.split('/').length === 2 ? ROOMS.length : at
}

function breaches(allowed: (from: string, to: string) => boolean): string[] {
  const found: string[] = []
  for (const [from, { all }] of imports) for (const to of all) if (!allowed(from, to)) found.push(`${from} imports ${to}`)
  return found
}

describe('layers', () => {
  it('reads all of src', () => {
    expect(files.length).toBeGreaterThan(30)
    expect([...imports.values()].flatMap(({ all }) => all).filter((to) => !files.includes(to))).toEqual([])
    for (const file of files) {
      expect(storey(file) >= 0 || LEAVES.includes(file.split('/')[0] as string), `${file} has a place in the house`).toBe(true)
    }
  })

  it('storeys of src know those below only, siblings do not know each other', () => {
    const same = (from: string, to: string): boolean => from.split('/')[0] === to.split('/')[0]
    expect(breaches((from, to) => same(from, to) || LEAVES.includes(from.split('/')[0] as string) || storey(to) < storey(from))).toEqual([])
  })

  it('leaves import nobody else', () => {
    const isLeaf = (file: string): boolean => LEAVES.includes(file.split('/')[0] as string)
    expect(breaches((from, to) => !isLeaf(from) || from.split('/')[0] === to.split('/')[0])).toEqual([])
  })

  it('rooms of the kernel know those below only', () => {
    const inRoom = (file: string): boolean => file.startsWith('kernel/') && file.split('/').length > 2
    for (const file of files.filter(inRoom)) expect(room(file), `${file} is in a room of the kernel`).toBeGreaterThanOrEqual(0)
    expect(
      breaches((from, to) => !inRoom(from) || room(to) <= room(from) || (to === INTERFACE && room(from) > 0)).filter((line) =>
        line.startsWith('kernel/'),
      ),
    ).toEqual([])
  })

  it('no module imports itself through others', () => {
    const done = new Set<string>()
    const cycles: string[] = []
    const visit = (file: string, path: readonly string[]): void => {
      if (path.includes(file)) cycles.push([...path.slice(path.indexOf(file)), file].join(' → '))
      if (done.has(file) || path.includes(file)) return
      for (const to of imports.get(file)?.code ?? []) visit(to, [...path, file])
      done.add(file)
    }
    for (const file of files) visit(file, [])
    expect(cycles).toEqual([])
  })

  it('no file is longer than 400 lines, and each says what it is', () => {
    const long: string[] = []
    for (const file of files) {
      const text = readFileSync(root + file, 'utf8')
      const lines = text.split('\n').length - 1
      if (lines > 400) long.push(`${file}: ${lines} lines`)
      expect(text.startsWith('//') || text.startsWith('/*') || text.startsWith('#!'), `${file} opens with what it is`).toBe(true)
    }
    expect(long).toEqual([])
  })

  it('reads modules as the compiler does', () => {
    for (const file of files) expect(() => readModule(parseSource(file, readFileSync(root + file, 'utf8')))).not.toThrow()
  })
})
