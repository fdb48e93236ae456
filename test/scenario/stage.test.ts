// The stage: what a set-up can do before the first interleaving, what its calls are called, and that all of it is given back.
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { describe, expect, it } from 'vitest'
import { openTree } from '../../src/check/index.ts'
import { Vm } from '../../src/kernel/vma/vma.ts'
import { hex, READ_WRITE } from '../../src/scenario/runner/calls.ts'
import { cellOf, checkCell } from '../../src/scenario/runner/check.ts'
import { loadProgram } from '../../src/scenario/runner/program.ts'
import { type Backstage, setStage } from '../../src/scenario/runner/stage.ts'
import { type Scenario, scenario } from '../../src/scenario/scenario.ts'

const one = { question: '?', asked: 'here', cpus: 2, designs: ['vma-lock'], archs: ['x86_64'], expect: 'safe' } as const
const counter = new URL('./fixtures/kinds.ts', import.meta.url)

async function stageOf(arch = 'x86_64', cpus = 2): Promise<Backstage> {
  return setStage(cpus, { design: 'vma-lock', arch, freeing: 'rcu-batch' }, await openTree(), () => {})
}

describe('a stage', () => {
  it('says what its calls are called', async () => {
    const stage = await stageOf()
    const mm = stage.newMm()
    const texts = [
      mm.mmap(16, 1),
      mm.munmap(16, 2),
      mm.mprotect(16, 1, Vm.read),
      mm.dontneed(16, 1),
      mm.mremap(16, 1, 2, 3, 32),
      mm.fork(),
      mm.exit(),
      mm.smaps(16, 4, 0),
      mm.read(16),
      mm.write(17, 5),
      stage.waitForCallbacks,
      stage.call('mine', () => 0),
    ].map(({ text }) => text)
    expect(texts).toEqual([
      'mmap(0x10, 1 page)',
      'munmap(0x10, 2 pages)',
      'mprotect(0x10, 1 page, r--)',
      'madvise(0x10, 1 page, DONTNEED)',
      'mremap(0x10, 1 page -> 0x20, 2 pages)',
      'fork()',
      'exit()',
      'smaps(0x10, 4 pages)',
      'read 0x10',
      'write 0x11 = 5',
      'rcu_barrier()',
      'mine',
    ])
    expect(hex(4096)).toBe('0x1000')
  })

  it('runs what the set-up asks for at once, and remembers it for who compares results', async () => {
    const stage = await stageOf()
    const mm = stage.newMm()
    const page = stage.table(4)
    expect(stage.now(0, mm.mmap(page, 2, READ_WRITE))).toBe(page)
    expect(stage.now(1, mm.write(page, 7))).toBe(0)
    expect(stage.now(0, mm.read(page))).toBe(7)
    const child = stage.now(0, mm.fork())
    expect(stage.callsOn(child, [1]).mm).toBe(child)
    expect(stage.now(1, stage.callsOn(child, [1]).read(page))).toBe(7)
    expect(stage.spaces).toEqual([mm.mm, child])
    expect(stage.history.map(({ description, result }) => [description.name, result])).toEqual([
      ['mmap', page],
      ['write', 0],
      ['read', 7],
      ['fork', child],
      ['read', 7],
    ])
  })

  it('puts pages of different tables into different tables', async () => {
    for (const arch of ['x86_64', 'powerpc64-hash-64k']) {
      const stage = await stageOf(arch)
      expect(stage.table(3) - stage.table(2)).toBe(stage.tablePages)
      expect(stage.tablesPerPage).toBe(arch === 'x86_64' ? 1 : stage.tablesPerPage)
    }
    expect((await stageOf('powerpc64-hash-64k')).tablesPerPage).toBeGreaterThan(1)
  })

  it('gives words that are zero and nobody else has', async () => {
    const stage = await stageOf()
    const [a, b] = [stage.words(2), stage.words(2)]
    expect(Math.abs(a - b)).toBeGreaterThan(1)
    expect([...stage.machine.words.subarray(a, a + 2), ...stage.machine.words.subarray(b, b + 2)]).toEqual([0, 0, 0, 0])
    expect(stage.leave).toHaveLength(2)
  })
})

describe('after each execution', () => {
  it('words are given back, and a page that a call keeps is a leak', async () => {
    const adds = (keeps: boolean): Scenario =>
      scenario({
        ...one,
        name: 'keeps',
        setUp: async (stage) => {
          const { addOne } = await stage.program<typeof import('./fixtures/kinds.ts')>(counter)
          const alloc = await stage.module<typeof import('../../src/kernel/memory/page-alloc.ts')>('memory/page-alloc.ts')
          const word = stage.words(1)
          const add = stage.call('add', () => addOne(word))
          return { calls: [[add], [keeps ? stage.call('keep', () => alloc.allocPage(0)) : add]] }
        },
      })
    expect((await checkCell(cellOf(adds(false)))).report).toMatchObject({ verdict: 'proved', message: '' })
    const { report } = await checkCell(cellOf(adds(true)))
    expect(report).toMatchObject({ verdict: 'violation', message: expect.stringMatching(/leak/) })
  })

  it('`after` may give back what the program holds', async () => {
    const definition = scenario({
      ...one,
      name: 'gives-back',
      setUp: async (stage) => {
        const alloc = await stage.module<typeof import('../../src/kernel/memory/page-alloc.ts')>('memory/page-alloc.ts')
        const mm = stage.newMm()
        const page = stage.now(
          0,
          stage.call('take', () => alloc.allocPage(0)),
        )
        const give = stage.call('give', () => alloc.freePage(page))
        return { calls: [[mm.read(16)], [mm.read(16)]], after: [give] }
      },
    })
    expect((await checkCell(cellOf(definition))).report.verdict).toBe('proved')
  })
})

describe('a program', () => {
  it('is loaded once for a tree, by name or by address', async () => {
    const tree = await openTree()
    expect(await loadProgram(tree, 'barrier')).toBe(await loadProgram(tree, 'barrier'))
    const mine = await loadProgram<typeof import('./fixtures/kinds.ts')>(tree, counter)
    // Places name its file as the user does, whatever was loaded before; one that ships by its path.
    await loadProgram(tree, 'rcu')
    const files = (): Set<string> => new Set(tree.sites.map(({ file }) => file))
    expect([...files()]).toEqual(expect.arrayContaining(['kinds.ts', 'scenario/programs/rcu.ts']))
    const directory = mkdtempSync(join(tmpdir(), 'gracewalk-'))
    const other = join(directory, 'kinds.ts')
    copyFileSync(counter, other)
    await loadProgram(tree, pathToFileURL(other))
    rmSync(directory, { recursive: true })
    expect([...files()]).toContain(`${basename(directory)}/kinds.ts`)
    expect(mine).toBe(await loadProgram(tree, counter))
    expect(mine.three()).toBe(3)
  })

  it.each([
    ['spinlok', /there is no program .*spinlok\.ts$/],
    [
      new URL('./fixtures/closure.txt', import.meta.url),
      /^\S+closure\.txt:5:10: .+ \(and \d+ more places\): a program must be in the kernel's/,
    ],
    [new URL('./fixtures/broken.txt', import.meta.url), /^\S+broken\.txt:3:1: [^\n]+: a program must be in the kernel's language$/],
  ])('is refused in a sentence: %s', async (program, message) => {
    const loading = loadProgram(await openTree(), program)
    await expect(loading).rejects.toMatchObject({ name: 'ScenarioError', message: expect.stringMatching(message) })
  })
})
