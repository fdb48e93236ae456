// The design "rcu-fault": which faults it does in one RCU section, which it leaves to the VMA's count or to mmap_lock, and that each is
// counted by its reason. That what it does is right under every interleaving is for the scenarios.
import { describe, expect, test } from 'vitest'
import { randomScheduler, run } from '../../src/check/index.ts'
import { File } from '../../src/kernel/memory/file.ts'
import { Inode } from '../../src/kernel/memory/inode.ts'
import { Mm } from '../../src/kernel/memory/mm.ts'
import { Access } from '../../src/kernel/pagetable/tlb.ts'
import { Advice } from '../../src/kernel/syscall/madvise.ts'
import { Placement } from '../../src/kernel/syscall/mmap.ts'
import { Vm, Vma } from '../../src/kernel/vma/vma.ts'
import { counted, PAGE, type Space, space } from './design-counters.ts'

/** A page below another PTE table. */
const FAR = 1 << 20

/** Leaves CPU 0 no frame. */
async function takeAllMemory({ whole, alone }: Space): Promise<void> {
  const { allocPage } = await whole.machine.tree.module<typeof import('../../src/kernel/memory/page-alloc.ts')>('memory/page-alloc.ts')
  while (alone(() => allocPage(0)) !== 0);
}

describe.each(['rcu-fault', 'rcu-fault-drops-lock'])('%s', (design) => {
  test('tables and anon_vma are made under a lock, and then nothing else is', async () => {
    const s = await space(design, 2)
    expect(s.touch(PAGE, Access.read)).toEqual([1, { attempts: 1, 'no upper table': 1 }])
    expect(s.touch(PAGE + 1, Access.read)).toEqual([1, { attempts: 1, done: 1 }])
    // Only the neighbours' locks would do: the VMA's count is not enough.
    expect(s.touch(PAGE)).toEqual([1, { attempts: 1, 'no anon_vma': 1, mmap_lock: 1 }])
    expect(s.touch(PAGE + 1)).toEqual([1, { attempts: 1, done: 1 }])
    expect(s.touch(PAGE + 2)).toEqual([1, { attempts: 1, done: 1 }])
  })

  test('an address space that one CPU runs is no exception', async () => {
    const s = await space(design, 1)
    s.touch(PAGE)
    expect(s.touch(PAGE + 1)).toEqual([1, { attempts: 1, done: 1 }])
  })

  test('signals are raised under a lock', async () => {
    const s = await space(design, 2)
    expect(s.touch(PAGE + 4)).toEqual([-1, { attempts: 1, unmapped: 1, mmap_lock: 1 }])
    s.alone(() => s.whole.kernel.sysMprotect(s.mm, PAGE, 4, Vm.read))
    expect(s.touch(PAGE)).toEqual([-2, { attempts: 1, 'no access': 1 }])
  })

  test('missing pages of a registered range are reported under the count of the VMA', async () => {
    const s = await space(design, 2)
    s.touch(PAGE)
    s.alone(() => s.whole.kernel.sysUserfaultRegister(s.mm, PAGE, 4, 1))
    expect(s.touch(PAGE + 1)).toEqual([-64, { attempts: 1, userfault: 1 }])
  })

  test('pages of files that are in memory, or need no disk', async () => {
    const s = await space(design, 2, 0)
    expect(s.touch(PAGE, Access.read)).toEqual([1, { attempts: 1, 'no upper table': 1 }])
    // Nobody has touched this page: it is made.
    expect(s.touch(PAGE + 1, Access.read)).toEqual([1, { attempts: 1, done: 1 }])
    s.alone(() => s.whole.kernel.sysMadvise(s.mm, PAGE, 2, Advice.dontneed))
    expect(s.touch(PAGE + 1, Access.read)).toEqual([1, { attempts: 1, done: 1 }])
    // A private copy, of an entry that is there and of one that is not.
    expect(s.touch(PAGE + 1)).toEqual([1, { attempts: 1, 'no anon_vma': 1, mmap_lock: 1 }])
    expect(s.touch(PAGE)).toEqual([1, { attempts: 1, done: 1 }])
    s.touch(PAGE + 2, Access.read)
    expect(s.touch(PAGE + 2)).toEqual([1, { attempts: 1, done: 1 }])
    const shared = await space(design, 2, 0, Vm.read | Vm.write | Vm.shared)
    shared.touch(PAGE, Access.read)
    expect(shared.touch(PAGE)).toEqual([1, { attempts: 1, done: 1 }])
    expect(shared.touch(PAGE + 1)).toEqual([1, { attempts: 1, done: 1 }])
  })

  test('pages that a disk must give are left to mmap_lock, the end of a file to a lock', async () => {
    const s = await space(design, 2, 1)
    expect(s.touch(PAGE, Access.read)).toEqual([1, { attempts: 1, 'no upper table': 1, mmap_lock: 1 }])
    expect(s.touch(PAGE + 1, Access.read)).toEqual([1, { attempts: 1, 'I/O': 1, mmap_lock: 1 }])
    s.alone(() => s.whole.kernel.sysMadvise(s.mm, PAGE, 2, Advice.dontneed))
    expect(s.touch(PAGE + 1, Access.read)).toEqual([1, { attempts: 1, done: 1 }])
    const { vmaLookup } = await s.whole.machine.tree.module<typeof import('../../src/kernel/vma/find-vma.ts')>('vma/find-vma.ts')
    const { words } = s.whole.machine
    const inode = words[(words[s.alone(() => vmaLookup(s.mm, PAGE)) + Vma.file] as number) + File.inode] as number
    words[inode + Inode.pages] = 3
    expect(s.touch(PAGE + 3, Access.read)).toEqual([-4, { attempts: 1, 'end of file': 1 }])
  })

  test('a page of a file is made by a fault that finds memory, and by no other', async () => {
    const s = await space(design, 2, 0)
    s.touch(PAGE, Access.read)
    await takeAllMemory(s)
    expect(s.touch(PAGE + 1, Access.read)).toEqual([-8, { attempts: 3, 'no memory': 3 }])
  })

  test('a VMA with the number of the mm has a writer', async () => {
    const s = await space(design, 2)
    s.touch(PAGE)
    const { words } = s.whole.machine
    const { vmaLookup } = await s.whole.machine.tree.module<typeof import('../../src/kernel/vma/find-vma.ts')>('vma/find-vma.ts')
    const vma = s.alone(() => vmaLookup(s.mm, PAGE))
    words[vma + Vma.lockSeq] = words[s.mm + Mm.mmLockSeq] as number
    expect(s.touch(PAGE + 1)).toEqual([1, { attempts: 1, 'writer at work': 1, mmap_lock: 1 }])
    words[vma + Vma.lockSeq] = (words[s.mm + Mm.mmLockSeq] as number) - 1
    expect(s.touch(PAGE + 2)).toEqual([1, { attempts: 1, done: 1 }])
    // A writer elsewhere in the mm, on the other hand, is none of this fault's business.
    words[s.mm + Mm.mmLockSeq] = (words[s.mm + Mm.mmLockSeq] as number) + 1
    expect(s.touch(PAGE + 3)).toEqual([1, { attempts: 1, done: 1 }])
  })

  test('a call in the way is noticed wherever it comes', async () => {
    const s = await space(design, 2)
    const { machine, kernel } = s.whole
    s.touch(PAGE)
    const before = machine.words.slice()
    const seen: Record<string, number> = {}
    for (let seed = 0; seed < 900; seed++) {
      machine.words.set(before)
      const other =
        seed % 3 === 0
          ? () => kernel.sysMprotect(s.mm, PAGE, 4, Vm.read)
          : seed % 3 === 1
            ? () => kernel.sysMunmap(s.mm, PAGE, 4)
            : () => kernel.sysMunmap(s.mm, PAGE + 1, 3)
      const outcome = run(machine, [() => s.access(PAGE + 1, Access.write), other], randomScheduler(seed, seed % 2 === 0 ? 0.9 : 0), {
        maxSteps: 20_000,
      })
      expect(outcome.message).toBe('')
      for (const [name, value] of Object.entries(counted(s.whole, design))) seen[name] = (seen[name] ?? 0) + value
    }
    const reasons = ['done', 'unmapped', 'writer at work', 'VMA detached', 'VMA shrunk', 'no access', 'VMA changed', 'PMD changed']
    expect(reasons.filter((name) => (seen[name] ?? 0) === 0)).toEqual([])
    const ends = Object.entries(seen).filter(([name]) => name !== 'attempts' && name !== 'mmap_lock')
    expect(ends.reduce((total, [, value]) => total + value, 0)).toBe(seen.attempts)
  })

  test('without memory the fault is done otherwise, or begun again once there is some', async () => {
    const s = await space(design, 2)
    const { kernel } = s.whole
    s.touch(PAGE)
    // Tables that wait for a grace period: memory that is there for who waits.
    s.alone(() => kernel.sysMmap(s.mm, FAR, 1, Vm.read | Vm.write | Vm.mayRead | Vm.mayWrite, Placement.fixed, 0, 0))
    s.touch(FAR)
    s.alone(() => kernel.sysMunmap(s.mm, FAR, 1))
    await takeAllMemory(s)
    // Outside the section there is none either, until the access waits for it and faults again.
    const added = design === 'rcu-fault' ? { attempts: 2, 'no memory': 1, done: 1 } : { attempts: 1, 'RCU dropped': 1, done: 1 }
    expect(s.touch(PAGE + 1)).toEqual([1, added])
    await takeAllMemory(s)
    expect(s.touch(PAGE + 2)).toEqual([-8, { attempts: 3, 'no memory': 3 }])
  })
})
