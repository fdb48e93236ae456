// Sleeping in atomic context, balance, lock order, deadlock.
import { beforeAll, describe, expect, it } from 'vitest'
import { openTinyScenes, type TinyScenes } from './tiny-scenes.ts'

let scenes: TinyScenes
beforeAll(async () => {
  scenes = await openTinyScenes()
})
const body = (text: string): string => `export function a(): number {\n${text}\nreturn 0\n}\n`
const alone = async (text: string) => (await scenes.look(body(text), [['a']])).violation

describe('sleeping in atomic context', () => {
  it.each([
    ['rcuReadLock(); mightSleep(); rcuReadUnlock(); writeOnce(FLAG, 1)', /may sleep at a .* inside the RCU section from/],
    ['irqSave(); mightSleep(); irqRestore()', /with interrupts off since a /],
    ['spinLock(LOCK_A); mightSleep(); spinUnlock(LOCK_A)', /holding spinlock/],
    ['spinLock(LOCK_A); downRead(SEM); upRead(SEM); spinUnlock(LOCK_A)', /CPU 0 may sleep at downRead sync\/rwsem.ts:\d+ holding spinlock/],
    ['rcuReadLock(); futexWait(FLAG, 1); rcuReadUnlock()', /sleeps at a .* inside the RCU section/],
    ['futexWait(FLAG, 1)', /sleeps at a .* inside the kernel \(Mode\.kernel\), where others wait until it answers their IPIs/],
  ])('%s', async (text, message) => {
    const violation = await alone(text)
    expect(violation).toMatchObject({ detector: 'sleep-in-atomic', agent: 0 })
    expect(violation?.message).toMatch(message)
  })
  it('is silent about a semaphore, and outside', async () => {
    expect(
      await alone(
        'downWrite(SEM); mightSleep(); upWrite(SEM); rcuReadLock(); rcuReadUnlock(); mightSleep(); irqSave(); irqRestore(); mightSleep(); setContext(Mode.outside); futexWait(FLAG, 1); setContext(Mode.kernel)',
      ),
    ).toBe(null)
  })
})

describe('balance', () => {
  it.each([
    ['rcuReadLock(); writeOnce(FLAG, 1)', /returns from call 0 inside the RCU section/],
    ['rcuReadUnlock(); writeOnce(FLAG, 1)', /leaves an RCU section at .* that it never entered/],
    ['irqSave()', /returns from call 0 with interrupts off since a /],
    ['spinLock(LOCK_A)', /returns from call 0 holding lock 0x/],
    ['downRead(SEM)', /returns from call 0 holding lock 0x/],
    ['spinUnlock(LOCK_A)', /releases lock 0x\w+ at spinUnlock .*, which nobody holds/],
    ['rcuReadLock(); setContext(Mode.outside); rcuReadUnlock()', /leaves the kernel at setContext .* inside the RCU section/],
    ['spinLock(LOCK_A); setContext(Mode.outside); spinUnlock(LOCK_A)', /leaves the kernel at .* holding lock/],
    ['setContext(Mode.outside); setContext(Mode.outside)', /leaves the kernel at .*, which it never entered/],
  ])('%s', async (text, message) => {
    const violation = await alone(text)
    expect(violation).toMatchObject({ detector: 'unbalanced', bookkeeping: true })
    expect(violation?.message).toMatch(message)
  })
  it('sees a call that stays in the kernel', async () => {
    const text = `${body('setContext(Mode.outside)')}export function b(): number {\nsetContext(Mode.kernel)\nreturn 0\n}\n`
    const { violation } = await scenes.look(text, [['a', 'b']])
    expect(violation?.message).toMatch(/^unbalanced: CPU 0 returns from call 1 without leaving the kernel$/)
  })
  it('is silent when all is left in any order', async () => {
    expect(
      await alone(
        'rcuReadLock(); rcuReadLock(); spinLock(LOCK_A); spinLock(LOCK_B); spinUnlock(LOCK_A); spinUnlock(LOCK_B); rcuReadUnlock(); rcuReadUnlock(); downRead(SEM); setContext(Mode.outside); setContext(Mode.kernel); upRead(SEM)',
      ),
    ).toBe(null)
  })
})

describe('lock order', () => {
  const nested = (name: string, outer: string, inner: string): string =>
    `export function ${name}(): number { spinLock(${outer}); spinLock(${inner}); spinUnlock(${inner}); spinUnlock(${outer}); return 0 }\n`
  const both = nested('a', 'LOCK_A', 'LOCK_B') + nested('b', 'LOCK_B', 'LOCK_A')
  it('sees a cycle though nobody deadlocks', async () => {
    // One call after the other, on one CPU.
    const { violation } = await scenes.look(both, [['a', 'b']])
    expect(violation).toMatchObject({ detector: 'lock-order', bookkeeping: true })
    expect(violation?.message).toMatch(/CPU 0 waits for lock 0x\w+ under lock 0x\w+ at spinLock .*, but elsewhere lock 0x\w+ under lock 0x/)
  })
  it('sees it across explorations, and again when the execution is run again', async () => {
    const first = await scenes.look(both, [['a']])
    expect(first.violation).toBe(null)
    const lockOrder = first.detectors.lockOrder()
    expect(lockOrder.length).toBe(3)
    expect((await scenes.look(both, [['b']])).violation).toBe(null)
    expect((await scenes.look(both, [['b']], { lockOrder })).violation?.detector).toBe('lock-order')
  })
  it('is silent about one order, and about trylocks', async () => {
    const tries =
      'export function b(): number { spinLock(LOCK_B); if (spinTrylock(LOCK_A) !== 0) spinUnlock(LOCK_A); spinUnlock(LOCK_B); return 0 }'
    expect((await scenes.look(nested('a', 'LOCK_A', 'LOCK_B') + tries, [['a', 'b']])).message).toBe('')
  })
  it('counts an IPI as a lock that is held with interrupts off', async () => {
    const text = `
export function a(): number {
  while (readOnce(FLAG) === 0) relax()
  spinLock(LOCK_A)
  const cpu = perCpu(1)
  const request = sendIpi(1)
  while (((readOnce(cpu + Cpu.ipiAcks) - request) | 0) < 0) relax()
  spinUnlock(LOCK_A)
  return 0
}
export function b(): number { irqSave(); spinLock(LOCK_A); spinUnlock(LOCK_A); irqRestore(); writeOnce(FLAG, 1); return 0 }
export function handler(): void { const cpu = perCpu(1); writeOnce(cpu + Cpu.ipiAcks, readOnce(cpu + Cpu.ipiRequests)) }`
    const { violation } = await scenes.look(text, [['a'], ['b']], {
      interrupt: 'handler',
      explore: { preemptions: 0 },
    })
    expect(violation?.message).toMatch(/waits for .* under .*, but elsewhere/)
    expect(violation?.message).toContain('an IPI acknowledgement')
    const apart = text.replace('irqSave(); spinLock(LOCK_A); spinUnlock(LOCK_A); irqRestore()', 'spinLock(LOCK_A); spinUnlock(LOCK_A)')
    expect((await scenes.look(apart, [['a'], ['b']], { interrupt: 'handler', explore: { preemptions: 1 } })).message).toBe('')
  })
})

describe('deadlock', () => {
  it('names the locks and who holds them', async () => {
    const text = `
export function a(): number { spinLock(LOCK_A); spinLock(LOCK_B); spinUnlock(LOCK_B); spinUnlock(LOCK_A); return 0 }
export function b(): number { spinLock(LOCK_B); spinLock(LOCK_A); spinUnlock(LOCK_A); spinUnlock(LOCK_B); return 0 }`
    const { violation } = await scenes.look(text, [['a'], ['b']], { except: ['lock-order'] })
    expect(violation?.detector).toBe('deadlock')
    expect(violation?.message).toMatch(
      /^deadlock: CPU 0 at spinLock .* waits for lock 0x\w+, held by CPU 1 since spinLock .*; CPU 1 at spinLock .* waits for lock 0x\w+, held by CPU 0/,
    )
  })
  it('names the CPU that has interrupts off, and sleepers of a semaphore', async () => {
    const text = `
export function a(): number {
  spinLock(LOCK_A)
  const cpu = perCpu(1)
  const request = sendIpi(1)
  while (((readOnce(cpu + Cpu.ipiAcks) - request) | 0) < 0) relax()
  spinUnlock(LOCK_A)
  return 0
}
export function b(): number { irqSave(); spinLock(LOCK_A); spinUnlock(LOCK_A); irqRestore(); return 0 }
export function c(): number { downWrite(SEM); return 0 }
export function handler(): void { const cpu = perCpu(1); writeOnce(cpu + Cpu.ipiAcks, readOnce(cpu + Cpu.ipiRequests)) }`
    const stuck = await scenes.look(text, [['a'], ['b']], { interrupt: 'handler', except: ['lock-order'] })
    expect(stuck.message).toMatch(/CPU 0 at a .* waits for an IPI acknowledgement of CPU 1, which has interrupts off since b /)
    expect(stuck.message).toMatch(/CPU 1 at spinLock .* waits for lock 0x\w+, held by CPU 0/)
    const asleep = await scenes.look(text, [['c'], ['c']], { except: ['unbalanced'], explore: { preemptions: 0 } })
    expect(asleep.message).toMatch(/CPU \d at waitForGrant .* sleeps in the queue of lock 0x\w+, held by CPU \d since downWrite/)
  })
})
