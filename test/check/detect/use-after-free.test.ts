// Use of freed memory, memory freed twice, memory reused inside a walker's section.
import { beforeAll, describe, expect, it } from 'vitest'
import { openTree, runAlone } from '../../../src/check/index.ts'
import { look as lookAt, scene } from './kernel-scenes.ts'
import { openTinyScenes, type TinyScenes } from './tiny-scenes.ts'

let scenes: TinyScenes
beforeAll(async () => {
  scenes = await openTinyScenes()
})

const SETUP = 'export function born(): void { allocated(OBJECT, WORDS, Kind.slab); store(PUBLISHED, OBJECT) }\n'
const READER = `
export function reader(): number {
  const p = readOnce(PUBLISHED)
  if (p === 0) return 0
  return readOnce(p + 3)
}
`
const look = (text: string, calls: string[][]) => scenes.look(SETUP + text, calls, { setUp: ['born'] })

describe('use after free', () => {
  it('sees an access to what is free', async () => {
    const updater = 'export function updater(): number { writeOnce(PUBLISHED, 0); freed(OBJECT, WORDS, Kind.slab); return readOnce(FLAG) }'
    const { violation } = await look(READER + updater, [['reader'], ['updater']])
    expect(violation).toMatchObject({ detector: 'use-after-free', bookkeeping: false, agent: 0 })
    expect(violation?.message).toMatch(
      /CPU 0 at reader sync\/program-\d+\.ts:\d+ reads word 3 of slab object 0x\w+, which was freed by CPU 1 at updater/,
    )
    expect(violation?.related).toMatchObject([{ text: 'freed', agent: 1 }])
  })

  it('sees it when the object was reused at once', async () => {
    const updater = `
export function updater(): number {
  writeOnce(PUBLISHED, 0)
  freed(OBJECT, WORDS, Kind.slab)
  allocated(OBJECT, WORDS, Kind.slab)
  return readOnce(FLAG)
}`
    const { violation } = await look(READER + updater, [['reader'], ['updater']])
    expect(violation?.detector).toBe('use-after-free')
    expect(violation?.message).toContain('and allocated again by CPU 1')
    expect(violation?.related.map(({ text }) => text)).toEqual(['freed', 'allocated'])
  })

  it('is silent when the freer waits, and when the reader looks the new object up', async () => {
    const waits = `
export function reader(): number {
  writeOnce(FLAG, 1)
  const p = readOnce(PUBLISHED)
  const value = p === 0 ? 0 : readOnce(p + 3)
  writeOnce(FLAG, 0)
  return value
}
export function updater(): number {
  writeOnce(PUBLISHED, 0)
  while (readOnce(FLAG) !== 0) relax()
  freed(OBJECT, WORDS, Kind.slab)
  allocated(OBJECT, WORDS, Kind.slab)
  rcuAssignPointer(PUBLISHED, OBJECT)
  return 0
}`
    expect((await look(waits, [['reader'], ['updater']])).message).toBe('')
  })

  it('lets type-safe objects be looked at inside a section only', async () => {
    const typesafe = (body: string): string => `
export function reader(): number {
  ${body}
}
export function updater(): number { writeOnce(PUBLISHED, 0); freed(OBJECT, WORDS, Kind.typesafeSlab); return readOnce(FLAG) }
export function bornSafe(): void { allocated(OBJECT, WORDS, Kind.typesafeSlab); store(PUBLISHED, OBJECT) }`
    const inside = 'rcuReadLock()\n const p = readOnce(PUBLISHED)\n const v = p === 0 ? 0 : readOnce(p + 3)\n rcuReadUnlock()\n return v'
    const outside = 'rcuReadLock()\n const p = readOnce(PUBLISHED)\n rcuReadUnlock()\n return p === 0 ? 0 : readOnce(p + 3)'
    const run = (body: string) => scenes.look(typesafe(body), [['reader'], ['updater']], { setUp: ['bornSafe'] })
    expect((await run(inside)).message).toBe('')
    expect((await run(outside)).violation?.detector).toBe('use-after-free')
  })

  it('sees what is freed twice', async () => {
    const frees = 'export function frees(): number { writeOnce(FLAG, 1); freed(OBJECT, WORDS, Kind.slab); return readOnce(FLAG) }'
    const { violation } = await look(frees, [['frees'], ['frees']])
    expect(violation?.detector).toBe('double-free')
    expect(violation?.message).toMatch(/freed twice: slab object/)
    expect((await look(frees, [['frees'], []])).message).toBe('')
  })

  it('sees what is allocated twice', async () => {
    const takes = 'export function takes(): number { writeOnce(FLAG, 1); allocated(OBJECT + 64, WORDS, Kind.slab); return readOnce(FLAG) }'
    const { violation } = await look(takes, [['takes'], ['takes']])
    expect(violation?.detector).toBe('double-allocation')
    expect(violation?.message).toMatch(/allocated twice: slab object/)
    expect((await look(takes, [['takes'], []])).message).toBe('')
  })
})

describe('reuse inside a section', () => {
  const program = (wait: string): string => `
export function born2(): void { allocated(OBJECT, WORDS, Kind.table); store(PUBLISHED, OBJECT) }
export function walker(): number {
  rcuReadLock()
  writeOnce(FLAG, 1)
  const p = readOnce(PUBLISHED)
  const v = p === 0 ? 0 : readOnce(p)
  writeOnce(FLAG, 0)
  rcuReadUnlock()
  return v
}
export function updater(): number {
  writeOnce(PUBLISHED, 0)
  ${wait}
  freed(OBJECT, WORDS, Kind.table)
  writeOnce(DATA, 1)
  allocated(OBJECT, WORDS, Kind.table)
  return 0
}`
  it('is seen though the walker never looks again', async () => {
    // The walker's last look at the table comes before the freeing.
    const { violation } = await scenes.look(
      program('if (readOnce(FLAG) === 0) return 0\n  if (readOnce(FLAG) === 0) return 0'),
      [['walker'], ['updater']],
      {
        setUp: ['born2'],
        except: ['use-after-free'],
      },
    )
    expect(violation?.detector).toBe('reused-in-section')
    expect(violation?.message).toMatch(
      /CPU 1 allocates page table .* while CPU 0, which found it in its old place, is still inside its RCU section from rcuReadLock/,
    )
  })
  it('is silent when the updater waits for the walker', async () => {
    const { message } = await scenes.look(program('while (readOnce(FLAG) !== 0) relax()'), [['walker'], ['updater']], { setUp: ['born2'] })
    expect(message).toBe('')
  })
})

describe('page tables freed at once under a walker that holds RCU', async () => {
  const tree = await openTree()
  const walk = async (freeing: string): Promise<string> => {
    const here = await scene(tree, 'x86_64', 'mmap-lock', undefined, { freeing })
    const { kernel, mm, page } = here
    const smaps = () => kernel.sysSmaps(mm, page, page + 4, 1)
    runAlone(here.machine, here.touch(page), 1)
    return lookAt(here, [[() => kernel.sysMunmap(mm, page, 4)], [smaps]])
  }
  it('is seen', async () => {
    expect(await walk('ipi')).toMatch(/use after free: CPU 1 at ptepGetLockless .* of page-table page .*, which was freed by CPU 0/)
    expect(await walk('rcu-batch')).toBe('')
  })
})
