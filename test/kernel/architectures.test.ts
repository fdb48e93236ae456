// Each architecture's facts against the numbers that are known of the real ones, and what follows from them: sizes of tables,
// what a munmap of a part keeps, where mmap puts what, tables in one page that share a lock.
import { describe, expect, test } from 'vitest'
import { type Arch, type Geometry, Invalidate, PAGE_WORDS } from '../../src/kernel/arch/arch.ts'
import { architectures } from '../../src/kernel/arch/architectures.ts'
import { pageFromReal, pageToReal } from '../../src/kernel/arch/windows.ts'
import * as kernel from '../../src/kernel/kernel.ts'
import { Global } from '../../src/kernel/machine/globals.ts'
import { load } from '../../src/kernel/machine/instructions.ts'
import { Mm } from '../../src/kernel/memory/mm.ts'
import { upperGet } from '../../src/kernel/pagetable/entries.ts'
import { findPmd } from '../../src/kernel/pagetable/levels.ts'
import { pteLockptr } from '../../src/kernel/pagetable/pte-offset-map.ts'
import { Level, tableWords } from '../../src/kernel/pagetable/table-alloc.ts'
import { Placement } from '../../src/kernel/syscall/mmap.ts'
import { Vm } from '../../src/kernel/vma/vma.ts'
import { attachCpu, bootMachine } from '../../src/machine/machine.ts'
import { archByName, soundArchitectures } from '../../src/machine/shape.ts'

const RW = Vm.read | Vm.write | Vm.mayRead | Vm.mayWrite | Vm.account
const MiB = 2 ** 20

/** Bytes of a page, entries of each level from the PTE table up, bytes of a PTE table, such tables in a page, bits of an address. */
type Numbers = readonly [page: number, entries: readonly number[], pteTable: number, fragments: number, bits: number, invalidate: string]
const KNOWN: Readonly<Record<string, Numbers>> = {
  x86_64: [4096, [512, 512, 512, 512], 4096, 1, 48, 'ipi'],
  'x86_64-5level': [4096, [512, 512, 512, 512, 512], 4096, 1, 57, 'ipi'],
  'x86-pae': [4096, [512, 512, 4], 4096, 1, 32, 'ipi'],
  'powerpc64-hash-64k': [65536, [256, 1024, 1024, 256], 4096, 16, 52, 'broadcast'],
  'powerpc64-radix-64k': [65536, [32, 512, 512, 8192], 256, 256, 52, 'broadcast'],
  s390: [4096, [256, 2048, 2048], 2048, 2, 42, 'broadcast'],
  's390-4level': [4096, [256, 2048, 2048, 2048], 2048, 2, 53, 'broadcast'],
  's390-5level': [4096, [256, 2048, 2048, 2048, 2048], 2048, 2, 64, 'broadcast'],
  sparc64: [8192, [1024, 1024, 1024, 1024], 8192, 1, 53, 'ipi'],
  'arm64-4k': [4096, [512, 512, 512, 512], 4096, 1, 48, 'broadcast'],
  'arm64-16k': [16384, [2048, 2048, 2048, 2], 16384, 1, 48, 'broadcast'],
  'arm64-64k': [65536, [8192, 8192, 64], 65536, 1, 48, 'broadcast'],
}

/** Bytes of tables above the PTE level, from the PMD up, as they are allocated. */
const UPPER: Readonly<Record<string, readonly number[]>> = {
  x86_64: [4096, 4096, 4096],
  'x86_64-5level': [4096, 4096, 4096, 4096],
  'x86-pae': [4096, 4096],
  'powerpc64-hash-64k': [8192, 8192, 2048],
  'powerpc64-radix-64k': [4096, 4096, 65536],
  s390: [16384, 16384],
  's390-4level': [16384, 16384, 16384],
  's390-5level': [16384, 16384, 16384, 16384],
  sparc64: [8192, 8192, 8192],
  'arm64-4k': [4096, 4096, 4096],
  'arm64-16k': [16384, 16384, 16],
  'arm64-64k': [65536, 512],
}

const sum = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0)

function coherent(arch: Arch, sizes: Geometry): void {
  const { pageShift, levelBits, pteTableWords, userAddressBits, mapWindowBits, upperTableOrder = 0 } = sizes
  const page = 2 ** pageShift
  expect(arch.pteFragments * pteTableWords * 4).toBeLessThanOrEqual(page)
  expect(8 * 2 ** levelBits[0]!).toBeLessThanOrEqual(pteTableWords * 4)
  // An upper entry has room for three flags below the address of a table, in words.
  expect(pteTableWords % 8).toBe(0)
  expect(userAddressBits).toBeLessThanOrEqual(sum(levelBits) + pageShift)
  expect(mapWindowBits ?? 0).toBeLessThanOrEqual(userAddressBits)
  const pages = [...levelBits.slice(1, -1).map(() => arch.upperTablesArePages), arch.pgdIsPage ?? arch.upperTablesArePages]
  for (const [i, isPage] of pages.entries()) if (isPage) expect(8 * 2 ** levelBits[i + 1]!).toBeLessThanOrEqual(page << upperTableOrder)
}

/** A machine of `arch` with one CPU, on which `mm` runs. */
function machineOf(arch: string, windows?: readonly number[]): number {
  const memory = 600 * 2 ** archByName(arch).pageShift
  attachCpu(bootMachine({ arch, cpus: 1, memory, ...(windows === undefined ? {} : { windows }) }), 0)
  const mm = kernel.sysNewMm()
  kernel.sysSwitchMm(mm)
  return mm
}

function map(mm: number, page: number, placement: number = Placement.fixed): number {
  const at = kernel.sysMmap(mm, page, 1, RW, placement, 0, 0)
  if (at > 0) expect(kernel.userStore(at, 0, 1)).toBe(0)
  return at
}

test('those whose numbers are known are the ones that there are', () => {
  expect(soundArchitectures.map(({ name }) => name).filter((name) => !(name in KNOWN))).toEqual([])
})

describe.each(Object.entries(KNOWN))('%s', (name, [page, entries, pteTable, fragments, bits, invalidate]) => {
  const arch = archByName(name)

  test('has the numbers of the real one', () => {
    expect(2 ** arch.pageShift).toBe(page)
    expect(arch.levelBits.map((level) => 2 ** level)).toEqual(entries)
    expect(arch.pteTableWords * 4).toBe(pteTable)
    expect(arch.pteFragments).toBe(fragments)
    expect(sum(arch.levelBits) + arch.pageShift).toBe(bits)
    expect(arch.invalidate).toBe(Invalidate[invalidate as keyof typeof Invalidate])
    coherent(arch, arch)
    // A page of fragments is full of them, and a table that is alone in its page fills it.
    expect(fragments * pteTable).toBe(page)
  })

  test('keeps levels and fragments when it is small', () => {
    expect(arch.small.levelBits).toHaveLength(entries.length)
    expect(sum(arch.small.levelBits) + arch.small.pageShift).toBe(arch.small.userAddressBits)
    coherent(arch, arch.small)
    if (fragments > 1) expect(fragments * arch.small.pteTableWords * 4).toBe(2 ** arch.small.pageShift)
  })

  test('allocates tables of these sizes', () => {
    const mm = machineOf(name)
    const levels = [Level.pmd, Level.pud, Level.p4d].slice(0, entries.length - 2)
    expect([...levels, Level.pgd].map((level) => tableWords(level) * 4)).toEqual(UPPER[name])
    const pgd = load(mm + Mm.tableWords) * 4
    expect(pgd).toBe(UPPER[name]!.at(-1))
    // What comes from a slab has a header in front of it.
    const inPage = (load(mm + Mm.pgd) - load(Global.frames)) % PAGE_WORDS
    expect(inPage === 0).toBe(pgd % page === 0)
    map(mm, (512 * MiB) / page)
    expect(load(mm + Mm.tableWords) * 4).toBe(pteTable + sum(UPPER[name]!))
    kernel.sysExit(mm)
  })

  test('keeps the table of a page beside one that is unmapped', () => {
    const mm = machineOf(name)
    const span = page * entries[0]!
    const first = (512 * MiB) / page
    for (const [apart, stays] of [
      [span / 2, true],
      [span, false],
    ] as const) {
      const [a, b] = [first, first + apart / page]
      map(mm, a)
      map(mm, b)
      const before = load(mm + Mm.tableWords)
      kernel.sysMunmap(mm, a, 1)
      expect(before - load(mm + Mm.tableWords)).toBe(stays ? 0 : pteTable / 4)
      expect(kernel.userLoad(b, 0)).toBe(0)
      kernel.sysMunmap(mm, b, 1)
    }
    kernel.sysExit(mm)
  })

  test('has one lock for the tables of one page', () => {
    const mm = machineOf(name)
    const locks = new Set<number>()
    const span = entries[0]!
    for (let table = 0; table < 20; table++) {
      const at = (512 * MiB) / page + table * span
      map(mm, at)
      locks.add(pteLockptr(upperGet(findPmd(mm, at))))
    }
    expect(locks.size).toBe(Math.ceil(20 / fragments))
    kernel.sysExit(mm)
  })
})

describe.each(architectures.filter(({ mapWindowBits }) => mapWindowBits !== undefined).map((arch) => [arch.name, arch] as const))(
  '%s hands out addresses above its usual ones',
  (name, arch) => {
    const usual = 2 ** (arch.mapWindowBits! - arch.pageShift)
    const far = 2 ** (arch.userAddressBits - arch.pageShift - 1)
    const windows = [0, usual / 2 ** 27 - 1, usual / 2 ** 27, far / 2 ** 27]

    test('only to who names one', () => {
      const mm = machineOf(name, windows)
      expect(pageToReal(map(mm, 0, Placement.hint))).toBeLessThan(usual)
      const words = load(mm + Mm.tableWords)
      const at = map(mm, pageFromReal(far) + 5, Placement.hint)
      expect(pageToReal(at)).toBe(far + 5)
      // In another entry of the PGD: one more table of each level.
      expect((load(mm + Mm.tableWords) - words) * 4).toBe(KNOWN[name]![2] + sum(UPPER[name]!.slice(0, -1)))
      expect(pageToReal(map(mm, 0, Placement.hint))).toBeLessThan(usual)
      kernel.sysExit(mm)
    })
  },
)
