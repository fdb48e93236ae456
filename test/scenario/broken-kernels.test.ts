// What a broken kernel or design does to the checker: it says what is wrong, also where the kernel hangs when address spaces exit or
// takes junk for an address; and what it shows names what it is about.
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { explore, replay } from '../../src/check/explore/index.ts'
import { type Call, check, replayScenario, type Scenario, ScenarioError, type Stage, scenario } from '../../src/check.ts'
import { cellOf } from '../../src/scenario/runner/check.ts'
import { rehearse } from '../../src/scenario/runner/rehearse.ts'

const SMALL = { question: '?', asked: 'here', cpus: 2, archs: ['x86_64'], expect: 'safe' } as const

/** Calls on a mapped page, which may be written by then, and on a kernel in which `from` of `file` is `to`. */
function brokenKernel(
  { file, from, to }: { readonly file: string; readonly from: string; readonly to: string },
  calls: (mm: ReturnType<Stage['newMm']>, page: number, elsewhere: number) => readonly (readonly Call[])[],
  written = false,
): Scenario {
  return scenario({
    ...SMALL,
    name: 'broken',
    designs: ['vma-lock'],
    setUp: (stage) => {
      const mm = stage.newMm()
      const page = stage.table(4)
      stage.now(0, mm.mmap(page, 1))
      if (written) stage.now(0, mm.write(page, 1))
      return { calls: calls(mm, page, stage.table(6)) }
    },
    variants: [{ name: 'so', wrong: 'a line is not what it was', edits: [{ file, from, to }], unsafe: /./ }],
  })
}

/** What is wrong with one mremap, beside nothing, on a kernel in which `from` of mremap.ts is `to`. */
async function messageOf(from: string, to: string): Promise<string> {
  const broken = brokenKernel(
    { file: 'syscall/mremap.ts', from, to },
    (mm, page, elsewhere) => [[mm.mremap(page, 1, 1, 3, elsewhere)]],
    true,
  )
  expect(await check(broken)).toMatchObject({ verdict: 'proved' })
  const { verdict, message, asExpected } = await check(broken, { variant: 'so' })
  expect({ verdict, asExpected }).toEqual({ verdict: 'violation', asExpected: true })
  return message
}

describe('a kernel', () => {
  it.each([
    ['syscall/munmap.ts', '  store(mm + Mm.mapCount, load(mm + Mm.mapCount) - count)\n', '1 VMAs are counted, there are 0'],
    ['syscall/munmap.ts', '  store(mm + Mm.totalVm, load(mm + Mm.totalVm) - pages)\n', 'total_vm is 1 pages, the VMAs have 0'],
    ['pagetable/mmu-gather.ts', '  atomicAdd(mm + Mm.tlbFlushPending, -1)\n', '1 gathers were begun and not finished'],
  ])('that miscounts, in %s, is told so: %s', async (file, from, what) => {
    const counts = brokenKernel({ file, from, to: '\n' }, (mm, page) => [[mm.munmap(page, 1)]])
    expect((await check(counts)).verdict).toBe('proved')
    const { message, path } = await check(counts, { variant: 'so' })
    expect(message).toMatch(new RegExp(`^counters of mm 0x\\w+: ${what}$`))
    // The kernel that ships counts right along the same path.
    expect(await replayScenario(counts, { variant: 'so' }, path)).toBe(message)
    expect(await replayScenario(counts, {}, path)).toBe('')
  })

  it('of which nothing is left to check, because an edit names no file or is no kernel code, is a mistake of the scenario', async () => {
    const calls = (mm: ReturnType<Stage['newMm']>, page: number): readonly Call[][] => [[mm.munmap(page, 1)]]
    const on = { variant: 'so' } as const
    await expect(check(brokenKernel({ file: 'mm/tlb.ts', from: 'x', to: 'y' }, calls), on)).rejects.toThrow(
      new ScenarioError('variant so: the kernel has no file mm/tlb.ts (names are as in src/kernel, like syscall/munmap.ts)'),
    )
    const unknown = { file: 'syscall/munmap.ts', from: 'store(mm + Mm.totalVm,', to: 'store(nothing + Mm.totalVm,' }
    await expect(check(brokenKernel(unknown, calls), on)).rejects.toThrow(
      /^variant so: what its edits make of the kernel is refused: .*munmap\.ts/,
    )
  })

  it('that hangs when the address space exits is a deadlock', async () => {
    expect(await messageOf('  design.vmaAttach(copy)\n  if (vma', '  if (vma')).toMatch(
      /^deadlock: CPU 0 at enterLocked .* sleeps on word 0x\w+ and nobody wakes it, when all calls have returned and the address spaces exit$/,
    )
  })

  it('that takes junk for an address has a wild pointer', async () => {
    const junk = '  const result = load(-5 - mm) + doMremap(mm,'
    expect(await messageOf('  const result = doMremap(mm,', junk)).toMatch(/^CPU 0 .*: wild pointer: there is no word -/)
  })

  it('that takes junk for an address when the address space exits fails again and again along its path', async () => {
    const last = '  unlinkFileVmas(first)\n'
    const broken = brokenKernel({ file: 'syscall/exit.ts', from: last, to: `${last}  if (load(-5 - mm) === 3) return\n` }, (mm, page) => [
      [mm.read(page)],
      [mm.read(page)],
    ])
    const { model } = await rehearse(cellOf(broken, {}, 'so'))
    const { verdict, path, message } = explore(model, { mode: 'check' })
    expect({ verdict, message }).toEqual({
      verdict: 'violation',
      message: expect.stringMatching(/^wild pointer: .*, when all calls have returned and the address spaces exit$/),
    })
    for (let time = 0; time < 3; time++) expect(replay(model, path)).toBe(message)
  })

  it('that goes round for ever in a loop without a step, in the set-up, is stopped', async () => {
    const from = '  const result = doMmap(mm,'
    const to = `  while (load(mm + Mm.pgd) !== 0) load(mm + Mm.pgd)\n${from}`
    const hangs = brokenKernel({ file: 'syscall/mmap.ts', from, to }, (mm, page) => [[mm.munmap(page, 1)]])
    await expect(check(hangs, { variant: 'so' })).rejects.toThrow(/setUp threw .*it goes round for ever: \d+ plain loads without a step/)
  })
})

it('that takes junk from freed memory for an address used freed memory', async () => {
  const { message } = await check('walk-of-empty-tables-vs-munmap:flushed-for-pages-only')
  expect(message).toMatch(/^use after free: CPU 0 at hardwareGet/)
})

describe('a design that decides by words of its own', () => {
  it('is shown with them, and with what they point to', async () => {
    const wraps = scenario({
      ...SMALL,
      name: 'number-comes-round',
      setUp: (stage) => {
        const mm = stage.newMm()
        const page = stage.table(4)
        stage.now(0, mm.mmap(page, 1))
        stage.now(0, mm.mmap(page + 2, 1))
        stage.now(0, mm.write(page, 1))
        return { calls: [[mm.write(page, 5)], [mm.munmap(page, 1), mm.munmap(page + 2, 1)]] }
      },
    })
    const design = fileURLToPath(new URL('../../examples/my-design/narrow-cache.ts', import.meta.url))
    const { verdict, message, counterexample } = await check(wraps, { design, arch: 'x86_64' })
    expect(verdict).toBe('violation')
    expect(message).toMatch(/use after free: CPU 0 at find narrow-cache\.ts:\d+ reads/)
    expect(counterexample).toMatch(/vmaDetach:\d+\s+mm 1\.mmLockSeq = 0 \(was 1\)/)
    expect(counterexample).toMatch(/find:\d+ {2}mm 1\.mmLockSeq -> 0/)
    expect(counterexample).toMatch(/find:\d+ {2}cpu 0\.design\[1\] -> vma 1/)
  })
})

describe('names', () => {
  it('tell the tables of an address space that no CPU uses and whose structure is longer than a frame', async () => {
    const { counterexample } = await check('walk-by-count-vs-exit')
    expect(counterexample).toMatch(/mm 1\.pgd -> pgd table 1$/m)
  })

  it('tell an address space whose slab grew during the execution', async () => {
    const { counterexample } = await check('fork-vs-stale-tlb:flushed-after-the-locks')
    expect(counterexample).toMatch(/locked mm 2\.mmapLock/)
    expect(counterexample).not.toMatch(/locked frame/)
  })
})

describe('calls without a description', () => {
  /** A program's call that writes to a page, of which nothing is said; `sequential`: what the play says. */
  const undescribed = (sequential?: boolean) =>
    scenario({
      ...SMALL,
      name: 'undescribed',
      designs: ['mmap-lock'],
      setUp: (stage) => {
        const mm = stage.newMm()
        const page = stage.table(4)
        stage.now(0, mm.mmap(page, 1))
        stage.now(0, mm.write(page, 1))
        const write = stage.call('write it', mm.write(page, 7).begin)
        return { calls: [[write], [mm.read(page)]], ...(sequential === undefined ? {} : { sequential }) }
      },
    })

  it('are called by their text, and taken to do nothing', async () => {
    expect((await check(undescribed())).message).toMatch(/no order of the calls explains their results; CPU 0: \(write it\) returned 0/)
  })

  it('are not judged where the play asks for no comparison', async () => {
    expect(await check(undescribed(false))).toMatchObject({ verdict: 'proved', asExpected: true })
  })
})
