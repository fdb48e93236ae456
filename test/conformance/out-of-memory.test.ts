// Out of memory, systematically: each call is repeated with its first, second, third … allocation refused (that one alone, or
// that one and all behind it) until it asks for none. It must say ENOMEM or do without; every page must be as before or as
// after the call; the same call must then succeed and end where it would have ended; and nothing may be left after exit.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, describe, expect, test } from 'vitest'
import { openTree, runAlone, type Steps } from '../../src/check/index.ts'
import { buildStepped } from '../../src/compile/build.ts'
import { load, store } from '../../src/kernel/machine/instructions.ts'
import { Mm } from '../../src/kernel/memory/mm.ts'
import { Access } from '../../src/kernel/pagetable/tlb.ts'
import { Advice } from '../../src/kernel/syscall/madvise.ts'
import { Placement } from '../../src/kernel/syscall/mmap.ts'
import { Remap } from '../../src/kernel/syscall/mremap.ts'
import { AnonVma, AnonVmaChain } from '../../src/kernel/vma/anon-vma.ts'
import { findVma, vmaLookup } from '../../src/kernel/vma/find-vma.ts'
import { Vm, Vma } from '../../src/kernel/vma/vma.ts'
import { type Kernel, tearDown, type WholeMachine, wholeMachine } from '../check/whole-machine.ts'
import { combinations, rbtreeCombinations, share } from '../combinations.ts'

/** Words that no machine uses: allocations until one is refused (0: none), and whether all behind it are too. */
const COUNTDOWN = 8
const FOR_GOOD = 9
const ENOMEM = -12
const OOM = -8
const MAY = Vm.mayRead | Vm.mayWrite | Vm.mayExec
const RW = Vm.read | Vm.write | MAY | Vm.account
const SHARED = Vm.read | Vm.write | MAY | Vm.shared | Vm.mayShare
const FIRST = 1000
const LAST = 1080
/** Another PTE table on either architecture. */
const FAR = 4096
/** More allocations than any call here makes. */
const MOST = 400

const src = fileURLToPath(new URL('../../src/kernel', import.meta.url))
const out = mkdtempSync(join(tmpdir(), 'gracewalk-'))
afterAll(() => rmSync(out, { recursive: true }))

/** `path` of the kernel with a refusal in front of each of `functions`. */
function refusing(path: string, functions: readonly string[]): string {
  let text = readFileSync(join(src, path), 'utf8')
  for (const name of functions) {
    const head = new RegExp(`export function ${name}\\(.*\\{\\n`)
    expect(text).toMatch(head)
    text = text.replace(head, (found) => `${found}  if (refused() !== 0) return 0\n`)
  }
  return `${text}
function refused(): number {
  const left = load(${COUNTDOWN})
  if (left === 0) return 0
  if (left > 1 || load(${FOR_GOOD}) === 0) store(${COUNTDOWN}, left - 1)
  return left === 1 ? 1 : 0
}
`
}

await buildStepped(src, join(out, 'kernel'), {
  replace: {
    'memory/slab.ts': refusing('memory/slab.ts', ['kmemCacheAlloc']),
    'memory/page-alloc.ts': refusing('memory/page-alloc.ts', ['allocPage', 'allocPages']),
  },
})
const tree = await openTree(join(out, 'kernel'))

/** What a case works with. `spaces` are torn down at the end, the first one is the CPU's. */
interface Bench {
  readonly whole: WholeMachine
  readonly kernel: Kernel
  readonly mm: number
  readonly spaces: number[]
  readonly file: number
}

interface Case {
  readonly setUp?: (bench: Bench) => void
  readonly act: (bench: Bench) => Steps<number>
  /** Whether `result` is a refusal. Default: it is ENOMEM. */
  readonly failed?: (result: number) => boolean
  /** Pages that a refused call may also leave unmapped, with the reason in the case. */
  readonly hole?: readonly [number, number]
}

function alone<T>({ whole }: Bench, task: () => Steps<T>): T {
  return runAlone(whole.machine, task) as T
}

function* touch({ whole, kernel }: Bench, page: number, stamp?: number): Steps<number> {
  const frame = yield* kernel.beginAccess(page, stamp === undefined ? Access.read : Access.write)
  if (frame < 0) return frame
  if (stamp !== undefined) whole.machine.words[frame] = stamp
  const value = whole.machine.words[frame] as number
  yield* kernel.endAccess()
  return value
}

function map(bench: Bench, page: number, pages: number, flags = RW, file = 0): void {
  expect(alone(bench, () => bench.kernel.sysMmap(bench.mm, page, pages, flags, Placement.fixed, file, 0))).toBe(page)
}

/** Maps `pages` pages and writes its number into each. */
function fill(bench: Bench, page: number, pages: number, flags = RW, file = 0): void {
  map(bench, page, pages, flags, file)
  for (let i = 0; i < pages; i++) alone(bench, () => touch(bench, page + i, page + i))
}

function fork(bench: Bench, mm = bench.mm): number {
  const child = alone(bench, () => bench.kernel.sysFork(mm))
  expect(child).toBeGreaterThan(0)
  bench.spaces.push(child)
  return child
}

/** A space whose grandparents are gone: a fork of it finds anon_vmas that nobody uses. */
function grandchild(bench: Bench): void {
  fill(bench, 1000, 2)
  const { kernel, spaces } = bench
  fork(bench, fork(bench, fork(bench)))
  alone(bench, () => kernel.sysSwitchMm(0))
  // The youngest takes the first one's place.
  const [, ...young] = spaces
  for (const mm of young.slice(0, -1)) {
    alone(bench, () => kernel.sysExit(mm))
    spaces.splice(spaces.indexOf(mm), 1)
  }
  alone(bench, () => kernel.sysSwitchMm(bench.mm))
}

const CASES: Readonly<Record<string, Case>> = {
  'mmap beside nothing': { act: (b) => b.kernel.sysMmap(b.mm, 1020, 3, RW, Placement.fixed, 0, 0) },
  'mmap that joins both neighbours': {
    setUp: (b) => {
      fill(b, 1010, 2)
      map(b, 1014, 2)
    },
    act: (b) => b.kernel.sysMmap(b.mm, 1012, 2, RW, Placement.fixed, 0, 0),
  },
  'mmap of shared memory': { act: (b) => b.kernel.sysMmap(b.mm, 1020, 3, SHARED, Placement.fixed, 0, 0) },
  'mmap of a file': { act: (b) => b.kernel.sysMmap(b.mm, 1020, 3, SHARED, Placement.fixed, b.file, 0) },
  'mmap over the middle of a mapping': {
    setUp: (b) => fill(b, 1010, 8),
    act: (b) => b.kernel.sysMmap(b.mm, 1012, 3, RW | Vm.noReserve, Placement.fixed, 0, 0),
  },
  'munmap of the middle': { setUp: (b) => fill(b, 1010, 8), act: (b) => b.kernel.sysMunmap(b.mm, 1012, 3) },
  'munmap of several mappings with their tables': {
    setUp: (b) => {
      for (let i = 0; i < 12; i++) fill(b, 1010 + i * 2, 1)
      fill(b, 1000 + FAR, 70)
    },
    act: (b) => b.kernel.sysMunmap(b.mm, 1005, FAR + 60),
  },
  'mprotect of the middle': { setUp: (b) => fill(b, 1010, 8), act: (b) => b.kernel.sysMprotect(b.mm, 1012, 3, Vm.read) },
  'mprotect that joins its neighbours': {
    setUp: (b) => {
      map(b, 1010, 2)
      fill(b, 1012, 2, RW & ~Vm.account & ~Vm.write)
      fill(b, 1012, 2)
      alone(b, () => b.kernel.sysMprotect(b.mm, 1012, 2, Vm.read))
      fill(b, 1014, 2)
    },
    act: (b) => b.kernel.sysMprotect(b.mm, 1012, 2, Vm.read | Vm.write),
  },
  'mprotect over many mappings': {
    setUp: (b) => {
      for (let i = 0; i < 20; i++) fill(b, 1010 + i * 2, 2, i % 2 === 0 ? RW : RW | Vm.noReserve)
    },
    act: (b) => b.kernel.sysMprotect(b.mm, 1011, 37, Vm.read),
  },
  'mremap that grows in place': {
    setUp: (b) => fill(b, 1010, 2),
    act: (b) => b.kernel.sysMremap(b.mm, 1010, 2, 5, 0, 0),
  },
  'mremap that moves': {
    setUp: (b) => fill(b, 1010, 6),
    act: (b) => b.kernel.sysMremap(b.mm, 1012, 2, 2, Remap.mayMove | Remap.fixed, 1040),
  },
  'mremap that moves to another table and grows': {
    setUp: (b) => fill(b, 1010, 2),
    act: (b) => b.kernel.sysMremap(b.mm, 1010, 2, 4, Remap.mayMove | Remap.fixed, 1000 + FAR),
  },
  'mremap of a file': {
    setUp: (b) => fill(b, 1010, 3, SHARED, b.file),
    act: (b) => b.kernel.sysMremap(b.mm, 1010, 3, 3, Remap.mayMove | Remap.fixed, 1040),
  },
  'mremap that leaves the source': {
    setUp: (b) => fill(b, 1010, 2),
    act: (b) => b.kernel.sysMremap(b.mm, 1010, 2, 2, Remap.mayMove | Remap.fixed | Remap.dontUnmap, 1040),
  },
  brk: {
    setUp: (b) => {
      store(b.mm + Mm.startBrk, 1010)
      store(b.mm + Mm.brk, 1010)
    },
    act: (b) => b.kernel.sysBrk(b.mm, 1014, 0),
  },
  fork: {
    setUp: (b) => {
      fill(b, 1010, 2)
      fill(b, 1014, 2, SHARED, b.file)
      fill(b, 1018, 2, RW, b.file)
      fill(b, 1000 + FAR, 2)
    },
    act: (b) => b.kernel.sysFork(b.mm),
    failed: (result) => result === 0,
  },
  'fork of a pinned page': {
    setUp: (b) => {
      fill(b, 1010, 2)
      alone(b, () => b.kernel.sysUnpinUserPage(alone(b, () => b.kernel.sysPinUserPage(b.mm, 1011, Access.write))))
      const page = alone(b, () => b.kernel.sysPinUserPage(b.mm, 1010, Access.write))
      pinned.push(page)
    },
    act: (b) => b.kernel.sysFork(b.mm),
    failed: (result) => result === 0,
  },
  'fork of a grandchild whose parents are gone': {
    setUp: grandchild,
    act: (b) => b.kernel.sysFork(b.spaces.at(-1) as number),
    failed: (result) => result === 0,
  },
  'a first write': { setUp: (b) => map(b, 1010, 2), act: (b) => touch(b, 1010, 5), failed: (r) => r === OOM },
  'a first read': { setUp: (b) => map(b, 1010, 2), act: (b) => touch(b, 1010), failed: (r) => r === OOM },
  'a write after fork': {
    setUp: (b) => {
      fill(b, 1010, 2)
      fork(b)
    },
    act: (b) => touch(b, 1010, 5),
    failed: (r) => r === OOM,
  },
  'a private write to a file': {
    setUp: (b) => map(b, 1010, 2, RW, b.file),
    act: (b) => touch(b, 1010, 5),
    failed: (r) => r === OOM,
  },
  'a shared read of a file': {
    setUp: (b) => map(b, 1010, 2, SHARED, b.file),
    act: (b) => touch(b, 1010),
    failed: (r) => r === OOM,
  },
  populate: { setUp: (b) => map(b, 1010, 4), act: (b) => b.kernel.sysMadvise(b.mm, 1010, 4, Advice.populateWrite) },
  DONTNEED: { setUp: (b) => fill(b, 1000, 70), act: (b) => b.kernel.sysMadvise(b.mm, 1000, 70, Advice.dontneed) },
  'userfault registration': {
    setUp: (b) => map(b, 1010, 6),
    act: (b) => b.kernel.sysUserfaultRegister(b.mm, 1012, 2, 1),
  },
}

/** Calls for which memory is needed by a maple tree alone: nodes of an rbtree lie in the VMAs, so that joining VMAs cannot fail. */
const MEMORY_OF_MAPLE = ['mmap that joins both neighbours', 'mremap that grows in place']

/** Struct pages that a case has pinned. */
let pinned: number[] = []

/** Each page from FIRST to LAST: its flags and what it holds, without touching what is not there. */
function pages(bench: Bench): string[] {
  const states: string[] = []
  for (let page = FIRST; page < LAST; page++) {
    const vma = vmaLookup(bench.mm, page)
    const far = vmaLookup(bench.mm, page + FAR)
    states.push(`${vma === 0 ? '-' : load(vma + Vma.flags)} ${far === 0 ? '-' : load(far + Vma.flags)}`)
  }
  return states
}

/** The same with contents, which takes memory. */
function contents(bench: Bench): string[] {
  return pages(bench).map((state, i) => `${state} ${[0, FAR].map((far) => alone(bench, () => touch(bench, FIRST + i + far)))}`)
}

/** What does not fit in the list of mappings, or ''. */
function inconsistent(mm: number): string {
  let count = 0
  let total = 0
  let at = 0
  for (let vma = findVma(mm, 0); vma !== 0; vma = findVma(mm, at)) {
    const [start, end] = [load(vma + Vma.start), load(vma + Vma.end)]
    if (start < at || end <= start) return `a mapping from ${start} to ${end} behind ${at}`
    for (let page = start; page < end; page++) if (vmaLookup(mm, page) !== vma) return `page ${page} is not its mapping's`
    count++
    total += end - start
    at = end
  }
  if (count !== load(mm + Mm.mapCount)) return `${count} mappings, ${load(mm + Mm.mapCount)} are counted`
  return total === load(mm + Mm.totalVm) ? '' : `${total} pages, ${load(mm + Mm.totalVm)} are counted`
}

/** An anon_vma that counts other VMAs than those it has, or ''. */
function miscounted(spaces: readonly number[]): string {
  const counts = new Map<number, number>()
  for (const mm of spaces) {
    for (let vma = findVma(mm, 0); vma !== 0; vma = findVma(mm, load(vma + Vma.end))) {
      for (let avc = load(vma + Vma.anonVmaChain); avc !== 0; avc = load(avc + AnonVmaChain.next)) {
        const anonVma = load(avc + AnonVmaChain.anonVma)
        counts.set(anonVma, (counts.get(anonVma) ?? 0) + (anonVma === load(vma + Vma.anonVma) ? 1 : 0))
      }
    }
  }
  for (const [anonVma, count] of counts) {
    const counted = load(anonVma + AnonVma.numActiveVmas)
    if (counted !== count) return `an anon_vma of ${count} VMAs counts ${counted}`
  }
  return ''
}

async function bench(arch: string, design: string, index: string): Promise<Bench> {
  const whole = await wholeMachine(tree, arch, design, 1, { index })
  const { machine, kernel } = whole
  const inode = runAlone(machine, () => kernel.inodeCreate(8, 0, 0, 3)) as number
  const file = runAlone(machine, () => kernel.fileOpen(inode)) as number
  runAlone(machine, () => kernel.iput(inode))
  const mm = runAlone(machine, () => kernel.sysNewMm()) as number
  runAlone(machine, () => kernel.sysSwitchMm(mm))
  return { whole, kernel, mm, spaces: [mm], file }
}

function end(b: Bench): string {
  for (const page of pinned) alone(b, () => b.kernel.sysUnpinUserPage(page))
  alone(b, () => b.kernel.putFile(b.file))
  return tearDown(b.whole, b.spaces)
}

const suite = (index: string) => (design: string, arch: string, parts: number, part: number) => {
  test.each(share(Object.keys(CASES), parts, part))('%s', async (name) => {
    const { setUp, act, failed = (result) => result === ENOMEM, hole = [0, 0] } = CASES[name] as Case
    const b = await bench(arch, design, index)
    const { words } = b.whole.machine
    pinned = []
    setUp?.(b)
    const before = words.slice()
    const spaces = b.spaces.slice()
    const isFork = name.startsWith('fork')
    const restore = (): void => {
      words.set(before)
      b.spaces.splice(0, b.spaces.length, ...spaces)
    }
    const perform = (): number => {
      const result = alone(b, () => act(b))
      if (isFork && !failed(result)) b.spaces.push(result)
      return result
    }
    const oldPages = pages(b)
    const oldContents = contents(b)
    restore()
    expect(failed(perform())).toBe(false)
    const newPages = pages(b)
    const newContents = contents(b)

    for (const forGood of [0, 1]) {
      let refusals = 0
      for (let n = 1; n < MOST; n++) {
        restore()
        words[COUNTDOWN] = n
        words[FOR_GOOD] = forGood
        const result = perform()
        const reached = forGood !== 0 ? words[COUNTDOWN] === 1 : words[COUNTDOWN] === 0
        words[COUNTDOWN] = 0
        const where = `allocation ${n}${forGood !== 0 ? ' and all behind it' : ''}`
        if (!reached) {
          expect(failed(result), `${where} was not asked for`).toBe(false)
          break
        }
        if (failed(result)) refusals++
        // No table where nothing is mapped: nobody would come by to free it.
        if (failed(result) && name.startsWith('mremap')) expect(words[b.mm + Mm.tableWords], where).toBe(before[b.mm + Mm.tableWords])
        for (const mm of b.spaces) expect(inconsistent(mm), where).toBe('')
        expect(miscounted(b.spaces), where).toBe('')
        pages(b).forEach((state, i) => {
          const page = FIRST + i
          const allowed = [oldPages[i], newPages[i], ...(page >= hole[0] && page < hole[1] ? ['- -'] : [])]
          expect(allowed, `${where}: page ${page}`).toContain(state)
        })
        // Reading maps the zero page, where nothing would be missing any more.
        if (failed(result) && name !== 'userfault registration') {
          // What was not reached by the call keeps what it held.
          const now = contents(b)
          now.forEach((state, i) => {
            const page = FIRST + i
            if (page >= hole[0] && page < hole[1]) return
            expect([oldContents[i], newContents[i]], `${where}: page ${page}`).toContain(state)
          })
        }
        if (failed(result)) expect(failed(perform()), `${where}: the second attempt`).toBe(false)
        // A move that cannot split the source succeeds, and the source stays, empty: as in Linux.
        const there = pages(b).map((state, i) => (name.startsWith('mremap') ? state === newPages[i] : true))
        contents(b).forEach((state, i) => {
          if (there[i]) expect(state, `${where}: page ${FIRST + i} afterwards`).toBe(newContents[i])
        })
        expect(end(b), where).toBe('')
      }
      // A fault tries again; a merge and a gather do without.
      if (index === 'rbtree' && MEMORY_OF_MAPLE.includes(name)) expect(refusals).toBe(0)
      else if (forGood !== 0 && name !== 'DONTNEED' && name !== 'mprotect that joins its neighbours') expect(refusals).toBeGreaterThan(0)
    }
  })
}

describe.each(combinations)('%s on %s', suite('maple'))
describe.each(rbtreeCombinations)('%s on %s, VMAs in an rbtree', suite('rbtree'))
