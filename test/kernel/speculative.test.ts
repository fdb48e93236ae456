// The design "speculative": which faults it does by itself, which it gives up, and that each is counted by its reason. That what it does
// is right under every interleaving is for the scenarios.
import { describe, expect, test } from 'vitest'
import { randomScheduler, run, runAlone } from '../../src/check/index.ts'
import { Mm } from '../../src/kernel/memory/mm.ts'
import { Access } from '../../src/kernel/pagetable/tlb.ts'
import { Vm } from '../../src/kernel/vma/vma.ts'
import { counted, PAGE, space } from './design-counters.ts'

describe.each(['speculative', 'speculative-irq', 'speculative-file'])('%s', (design) => {
  test('the first write to a VMA and the first fault below a PMD are given up, the next is not', async () => {
    const s = await space(design, 2)
    expect(s.touch(PAGE, Access.read)).toEqual([1, { attempts: 1, 'no upper table': 1 }])
    expect(s.touch(PAGE + 1, Access.read)).toEqual([1, { attempts: 1, done: 1 }])
    expect(s.touch(PAGE)).toEqual([1, { attempts: 1, 'no anon_vma': 1 }])
    expect(s.touch(PAGE + 1)).toEqual([1, { attempts: 1, done: 1 }])
    expect(s.touch(PAGE + 2)).toEqual([1, { attempts: 1, done: 1 }])
  })

  test('an address space that one CPU runs is left alone', async () => {
    const s = await space(design, 1)
    expect(s.touch(PAGE)).toEqual([1, { 'single-threaded': 1 }])
    runAlone(s.whole.machine, () => s.whole.kernel.sysSwitchMm(s.mm), 1)
    expect(s.touch(PAGE + 1)).toEqual([1, { attempts: 1, done: 1 }])
  })

  test('signals are raised under mmap_lock', async () => {
    const s = await space(design, 2)
    expect(s.touch(PAGE + 4)).toEqual([-1, { attempts: 1, unmapped: 1 }])
    s.alone(() => s.whole.kernel.sysMprotect(s.mm, PAGE, 4, Vm.read))
    expect(s.touch(PAGE)).toEqual([-2, { attempts: 1, 'no access': 1 }])
  })

  test('missing pages of a registered range are reported under mmap_lock', async () => {
    const s = await space(design, 2)
    s.touch(PAGE)
    s.alone(() => s.whole.kernel.sysUserfaultRegister(s.mm, PAGE, 4, 1))
    expect(s.touch(PAGE + 1)).toEqual([-64, { attempts: 1, userfault: 1 }])
  })

  test('a count that is odd means a writer at work', async () => {
    const s = await space(design, 2)
    s.touch(PAGE)
    const { words } = s.whole.machine
    words[s.mm + Mm.mmLockSeq] = (words[s.mm + Mm.mmLockSeq] as number) + 1
    expect(s.touch(PAGE + 1)).toEqual([1, { attempts: 1, 'writer at work': 1 }])
  })

  test('a call in the way is noticed wherever it comes', async () => {
    const s = await space(design, 2)
    const { machine, kernel } = s.whole
    s.touch(PAGE)
    const before = machine.words.slice()
    const seen: Record<string, number> = {}
    for (let seed = 0; seed < 600; seed++) {
      machine.words.set(before)
      const other = seed % 2 === 0 ? () => kernel.sysMprotect(s.mm, PAGE, 4, Vm.read) : () => s.access(PAGE + 2, Access.write)
      const outcome = run(machine, [() => s.access(PAGE + 1, Access.write), other], randomScheduler(seed, seed % 3 === 0 ? 0.9 : 0), {
        maxSteps: 20_000,
      })
      expect(outcome.message).toBe('')
      for (const [name, value] of Object.entries(counted(s.whole, design))) seen[name] = (seen[name] ?? 0) + value
    }
    const reasons = ['done', 'writer at work', 'VMA changed', 'no access', 'writer before lock', 'lock held', 'writer under lock']
    expect(reasons.filter((name) => (seen[name] ?? 0) === 0)).toEqual([])
    const ends = Object.entries(seen).filter(([name]) => name !== 'attempts' && name !== 'single-threaded')
    expect(ends.reduce((total, [, value]) => total + value, 0)).toBe(seen.attempts)
  })
})

test('file mappings are an option', async () => {
  const off = await space('speculative', 2, 0)
  off.touch(PAGE, Access.read)
  expect(off.touch(PAGE + 1, Access.read)).toEqual([1, { attempts: 1, file: 1 }])
  const on = await space('speculative-file', 2, 0)
  expect(on.touch(PAGE, Access.read)).toEqual([1, { attempts: 1, 'no upper table': 1 }])
  expect(on.touch(PAGE + 1, Access.read)).toEqual([1, { attempts: 1, done: 1 }])
})

test('a page that must be read from disk is read, and mapped under mmap_lock', async () => {
  const s = await space('speculative-file', 2, 1)
  s.touch(PAGE, Access.read)
  expect(s.touch(PAGE + 1, Access.read)).toEqual([1, { attempts: 1, 'I/O': 1 }])
})
