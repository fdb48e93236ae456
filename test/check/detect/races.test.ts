// Data races, with and without clocks; torn values; rcu_heads.
import { beforeAll, describe, expect, it } from 'vitest'
import { SCRATCH } from '../tiny-machine.ts'
import { openTinyScenes, type TinyScenes } from './tiny-scenes.ts'

let scenes: TinyScenes
beforeAll(async () => {
  scenes = await openTinyScenes()
})
const FLAG = 16
const DATA = 32

describe('data races', () => {
  const passing = (publish: string, look: string): string => `
export function writer(): number { store(DATA, 1); ${publish}; return 0 }
export function reader(): number { if (${look} === 0) return 0; return load(DATA) }`
  it('are seen where nothing orders the accesses', async () => {
    const text = 'export function a(): number { readOnce(FLAG); store(DATA, 1); readOnce(FLAG); return 0 }'
    const { violation } = await scenes.look(text, [['a'], ['a']])
    expect(violation).toMatchObject({ detector: 'data-race', bookkeeping: false, objects: [SCRATCH + DATA] })
    expect(violation?.message).toMatch(/^data race on word 0x\w+: a plain store by CPU \d at a .*, beside a plain store by CPU \d at a /)
  })
  it('are seen between a marked and a plain access', async () => {
    const text =
      'export function a(): number { readOnce(FLAG); load(DATA); readOnce(FLAG); return 0 }\nexport function b(): number { writeOnce(DATA, 1); return 0 }'
    expect((await scenes.look(text, [['a'], ['b']])).message).toMatch(/a marked write by CPU 1 at b .*, beside a plain load by CPU 0 at a/)
  })
  it('are no races under a lock, or once published', async () => {
    const locked = 'export function a(): number { spinLock(LOCK_A); store(DATA, load(DATA) + 1); spinUnlock(LOCK_A); return 0 }'
    expect((await scenes.look(locked, [['a'], ['a']], { orderings: true })).message).toBe('')
    expect(
      (await scenes.look(passing('smpStoreRelease(FLAG, 1)', 'smpLoadAcquire(FLAG)'), [['writer'], ['reader']], { orderings: true }))
        .message,
    ).toBe('')
  })
  it('are told when only relaxed accesses order them, if asked for', async () => {
    const relaxed = passing('writeOnce(FLAG, 1)', 'readOnce(FLAG)')
    expect((await scenes.look(relaxed, [['writer'], ['reader']])).message).toBe('')
    const { violation } = await scenes.look(relaxed, [['writer'], ['reader']], { orderings: true })
    expect(violation?.detector).toBe('relaxed-race')
    expect(violation?.message).toMatch(
      /data race \(ordered only by relaxed accesses\) on word 0x\w+: a plain load by CPU 1 at reader .*, after a plain store by CPU 0/,
    )
    const fenced = passing('smpWmb(); writeOnce(FLAG, 1)', 'readOnce(FLAG)').replace('return load', 'smpRmb(); return load')
    expect((await scenes.look(fenced, [['writer'], ['reader']], { orderings: true })).message).toBe('')
    const half = passing('smpWmb(); writeOnce(FLAG, 1)', 'readOnce(FLAG)')
    expect((await scenes.look(half, [['writer'], ['reader']], { orderings: true })).violation?.detector).toBe('relaxed-race')
    // What a loaded pointer leads to comes after it; what it does not lead to does not.
    const through = (word: string): string => `
export function born(): void { allocated(OBJECT, WORDS, Kind.slab) }
export function writer(): number { store(OBJECT + 1, 1); store(DATA, 1); smpStoreRelease(FLAG, OBJECT); return 0 }
export function reader(): number { const p = readOnce(FLAG); return p === 0 ? 0 : load(${word}) }`
    const lead = (word: string) => scenes.look(through(word), [['writer'], ['reader']], { orderings: true, setUp: ['born'] })
    expect((await lead('p + 1')).message).toBe('')
    expect((await lead('DATA')).violation?.detector).toBe('relaxed-race')
    const pointer = passing('rcuAssignPointer(FLAG, 1)', 'rcuDereference(FLAG)')
    expect((await scenes.look(pointer, [['writer'], ['reader']], { orderings: true })).message).toBe('')
  })
})

describe('torn values', () => {
  const pairs = [{ low: SCRATCH + FLAG, high: SCRATCH + FLAG + 1 }]
  const writer = 'export function writer(): number { writeOnce(FLAG, 1); writeOnce(FLAG + 1, 1); readOnce(DATA); return 0 }\n'
  it('are seen', async () => {
    const reader = 'export function reader(): number { readOnce(FLAG); readOnce(FLAG + 1); return readOnce(DATA) }'
    const { violation } = await scenes.look(writer + reader, [['writer'], ['reader']], { pairs })
    expect(violation?.detector).toBe('torn')
    expect(violation?.message).toMatch(/torn read: CPU 1 at reader .* put 0x\d:0x\d together/)
  })
  it('are none where one half changes alone, nor where both were read before or after the store', async () => {
    const reader = `
export function reader(): number {
  const low = readOnce(FLAG)
  readOnce(FLAG + 1)
  while (readOnce(FLAG) !== low) relax()
  return readOnce(DATA)
}`
    const single =
      'export function writer(): number { writeOnce(FLAG, 1); readOnce(DATA); writeOnce(FLAG + 1, 2); readOnce(DATA); return 0 }\n'
    const plainly = 'export function reader(): number { readOnce(FLAG); readOnce(FLAG + 1); return readOnce(DATA) }'
    // Low and high are each a store of their own: only a reader that misses the first and sees the second tears.
    expect((await scenes.look(single + plainly, [['writer'], ['reader']], { pairs })).violation?.detector).toBe('torn')
    const lowOnly = single.replace('writeOnce(FLAG + 1, 2)', 'writeOnce(FLAG, 2)')
    expect((await scenes.look(lowOnly + plainly, [['writer'], ['reader']], { pairs })).message).toBe('')
    expect((await scenes.look(lowOnly + reader, [['writer'], ['reader']], { pairs, explore: { preemptions: 0 } })).message).toBe('')
    expect((await scenes.look(writer + plainly, [['writer'], ['reader']], { pairs, explore: { preemptions: 0 } })).message).toBe('')
  })
  const words = (all: Int32Array): void => all.set([1, 2], SCRATCH + FLAG)
  const changes = (order: string): string =>
    `export function writer(): number { ${order}; readOnce(DATA); return 0 }\nexport function reader(): number { return readEntryWhole(FLAG) }`
  const [clears, sets] = ['writeOnce(FLAG, 0); writeOnce(FLAG + 1, 0)', 'writeOnce(FLAG + 1, 4); writeOnce(FLAG, 1)']
  it('are none where both are read in one go, if the low half is stored last and cleared first', async () => {
    const harmless = (low: number): boolean => low === 0
    const look = (order: string) => scenes.look(changes(order), [['writer'], ['reader']], { pairs, harmless, words })
    expect((await look(`${clears}; readOnce(DATA); ${sets}`)).message).toBe('')
    const { violation } = await look(`${clears}; readOnce(DATA); writeOnce(FLAG, 1); writeOnce(FLAG + 1, 4)`)
    expect(violation?.message).toMatch(/torn read: CPU 1 at reader .* put 0x0:0x1 together/)
    expect((await look('writeOnce(FLAG + 1, 0); writeOnce(FLAG, 0)')).violation?.detector).toBe('torn')
  })
  it('are seen although low, high, and low again agree', async () => {
    const reader = `
export function reader(): number {
  let low = 0
  let high = 0
  do {
    low = readOnce(FLAG)
    high = readOnce(FLAG + 1)
  } while (readOnce(FLAG) !== low)
  return low | high
}`
    const writer = (low: number): string =>
      `export function writer(): number { ${clears}; readOnce(DATA); writeOnce(FLAG + 1, 4); writeOnce(FLAG, ${low}); readOnce(DATA); return 0 }`
    const look = (low: number) =>
      scenes.look(writer(low) + reader, [['writer'], ['reader']], { pairs, words, harmless: (half) => half === 0 })
    expect((await look(1)).violation?.message).toMatch(/put 0x0:0x1 together/)
    expect((await look(3)).message).toBe('')
    // The fact that counts is where the read ends.
    const excused = await scenes.look(writer(1) + reader, [['writer'], ['reader']], { pairs, words, harmless: () => true })
    expect(excused.message).toBe('')
  })
  it('leave what the hardware sets in one go to who was faster', async () => {
    const both = `export function a(): number { return orEntryWhole(FLAG, 3, 8) }\nexport function b(): number { return orEntryWhole(FLAG, 3, 16) }`
    let ends = new Set<string>()
    const judged = await scenes.look(both, [['a'], ['b']], {
      words,
      explore: { mode: 'exhaustive' },
      check: (results, all) => {
        const [a, b] = results.map(([one]) => one)
        ends = ends.add(`${a} ${b} ${all[SCRATCH + FLAG]} ${all[SCRATCH + FLAG + 1]}`)
        return ''
      },
    })
    expect(judged.message).toBe('')
    expect(ends).toEqual(new Set(['1 0 9 2', '0 1 17 2']))
  })
})

describe('rcu_heads', () => {
  const born = 'export function born(): void { allocated(OBJECT, WORDS, Kind.slab) }\n'
  const run = (text: string) => scenes.look(`${born}export function a(): number {\n${text}\nreturn 0\n}`, [['a']], { setUp: ['born'] })
  it.each([
    [
      'rcuQueued(OBJECT + 2); writeOnce(FLAG, 1); rcuQueued(OBJECT + 2); writeOnce(FLAG, 2)',
      /rcu_head 0x\w+ of slab object 0x\w+ is queued again by CPU 0 at a .* while it is queued \(queued by CPU 0/,
    ],
    [
      'rcuQueued(OBJECT + 2); writeOnce(FLAG, 1); store(OBJECT + 3, 7); writeOnce(FLAG, 2)',
      /is written by CPU 0 at a .* while it is queued/,
    ],
    ['rcuQueued(OBJECT + 2); writeOnce(OBJECT + 2, 7); writeOnce(FLAG, 2)', /is written/],
    ['rcuQueued(OBJECT + 2); writeOnce(FLAG, 1); freed(OBJECT, WORDS, Kind.slab); writeOnce(FLAG, 2)', /is freed/],
  ])('%s', async (text, message) => {
    const { violation } = await run(text)
    expect(violation?.detector).toBe('rcu-head')
    expect(violation?.message).toMatch(message)
  })
  it('may be used again once the callback is called, and its neighbours at any time', async () => {
    const text =
      'rcuQueued(OBJECT + 2); store(OBJECT + 1, 7); store(OBJECT + 4, 7); writeOnce(FLAG, 1); rcuInvoked(OBJECT + 2); store(OBJECT + 2, 7); rcuQueued(OBJECT + 2); rcuInvoked(OBJECT + 2); freed(OBJECT, WORDS, Kind.slab); writeOnce(FLAG, 2)'
    expect((await run(text)).message).toBe('')
  })
})
