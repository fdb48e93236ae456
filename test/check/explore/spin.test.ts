// Loops that wait, under exploration: what a loop may see is not lost, loops without end come to an end where states are
// merged, and are said not to where they are not.
import { beforeAll, describe, expect, it } from 'vitest'
import { explore, replay } from '../../../src/check/explore/explore.ts'
import { kernelModel } from '../../../src/check/explore/kernel-model.ts'
import { openTiny, SCRATCH, type Tiny } from '../tiny-machine.ts'

const HEAD = `import { Mode, readContext, setContext } from '../machine/entry.ts'
import { Global } from '../machine/globals.ts'
import { load, perCpu, readOnce, relax, store, writeOnce } from '../machine/instructions.ts'
import { rcuReadLock, rcuReadUnlock, synchronizeRcu } from './rcu.ts'
import { spinLock, spinTrylock, spinUnlock } from './spinlock.ts'
const P = ${SCRATCH}
const Q = ${SCRATCH + 1}
const R = ${SCRATCH + 2}
const LOCK = ${SCRATCH + 16}
`
const SETS = 'export function sets(): number {\n  writeOnce(P, 1)\n  writeOnce(Q, 1)\n  return 0\n}\n'

let tiny: Tiny
beforeAll(async () => {
  tiny = await openTiny()
})

let files = 0

/** Explores the functions of `text`, one per CPU. Returns the verdict, and the results that were seen. */
async function outcomes(text: string, names: readonly string[], mode: 'states' | 'exhaustive' = 'states') {
  const code = (await tiny.tree.load(`sync/spin${files++}.ts`, HEAD + text)) as unknown as Record<string, () => unknown>
  const ends = new Set<string>()
  const model = kernelModel({
    machine: tiny.machine(names.length),
    calls: names.map((name) => [() => code[name]?.()]),
    check: (results) => {
      ends.add(results.flat().join())
      return ''
    },
  })
  const { verdict, message, path } = explore(model, { mode, maxSteps: 2000, milliseconds: 20_000 })
  const again = verdict === 'violation' ? { again: replay(model, path) } : {}
  return { verdict, message, ends: [...ends].sort(), ...again }
}

const LOOK = 'export function looks(): number {\n  while (readOnce(P) === 0) relax()\n  return readOnce(Q)\n}\n'

describe.each(['states', 'exhaustive'] as const)('exploring %s', (mode) => {
  it('a loop that only looks waits', async () => {
    expect(await outcomes(SETS + LOOK, ['looks', 'sets'], mode)).toEqual({ verdict: 'proved', message: '', ends: ['0,0', '1,0'] })
    expect((await outcomes(LOOK, ['looks'], mode)).message).toMatch(/^deadlock: CPU 0 at looks sync\/spin/)
  })

  it('a loop that looks after it relaxed does not wait for what it has not looked at', async () => {
    const text = `${SETS}export function looks(): number {\n  do {\n    if (readOnce(R) === 1) return 9\n    relax()\n  } while (readOnce(P) === 0)\n  return readOnce(Q)\n}\n`
    expect(await outcomes(text, ['looks', 'sets'], mode)).toEqual({ verdict: 'proved', message: '', ends: ['0,0', '1,0'] })
  })

  it('a loop that counts ends by itself', async () => {
    const text = `${SETS}export function looks(): number {\n  let turns = 0\n  while (readOnce(P) === 0 && turns < 2) {\n    turns++\n    relax()\n  }\n  return turns\n}\n`
    expect(await outcomes(text, ['looks', 'sets'], mode)).toEqual({ verdict: 'proved', message: '', ends: ['0,0', '1,0', '2,0'] })
    expect((await outcomes(text, ['looks'], mode)).ends).toEqual(['2'])
  })

  it('a loop sees each of two words change', async () => {
    const text = `${SETS}export function looks(): number {\n  for (;;) {\n    const p = readOnce(P)\n    const q = readOnce(Q)\n    if (p + q > 0) return p * 10 + q\n    relax()\n  }\n}\n`
    expect((await outcomes(text, ['looks', 'sets'], mode)).ends).toEqual(['1,0', '10,0', '11,0'])
  })

  it('what a loop does once more for itself is done', async () => {
    const text =
      'export function steps(): number {\n  while (readOnce(P) < 3) {\n    writeOnce(P, readOnce(P) + 1)\n    relax()\n  }\n  return 0\n}\n'
    expect((await outcomes(text, ['steps'], mode)).verdict).toBe('proved')
  })

  it('waiting in a function leaves the turn of its caller as it was', async () => {
    const text = `${SETS}function inner(): void {\n  while (readOnce(R) === 5) relax()\n}\nexport function looks(): number {\n  while (readOnce(P) === 0) {\n    inner()\n    relax()\n  }\n  return readOnce(Q)\n}\n`
    expect(await outcomes(text, ['looks', 'sets'], mode)).toEqual({ verdict: 'proved', message: '', ends: ['0,0', '1,0'] })
  })
})

// From its second turn on the loop changes nothing, but it holds the lock for a moment in each.
const HOLDS = `export function holds(): number {
  while (readOnce(Q) === 0) {
    if (spinTrylock(LOCK) !== 0) spinUnlock(LOCK)
    writeOnce(P, readOnce(R))
    relax()
  }
  return 0
}
export function tries(): number {
  writeOnce(R, 1)
  while (readOnce(P) === 0) relax()
  writeOnce(R, 2)
  while (readOnce(P) === 1) relax()
  const got = spinTrylock(LOCK)
  if (got !== 0) spinUnlock(LOCK)
  writeOnce(Q, 1)
  return got
}
`

describe('a loop that also writes', () => {
  it('goes round until states repeat', async () => {
    expect(await outcomes(HOLDS, ['holds', 'tries'])).toEqual({ verdict: 'proved', message: '', ends: ['0,0', '0,1'] })
  })

  it('proves nothing without states', async () => {
    const { verdict, message } = await outcomes(HOLDS, ['holds', 'tries'], 'exhaustive')
    expect({ verdict, message }).toEqual({ verdict: 'stopped', message: expect.stringMatching(/loops that wait and also write/) })
  })

  it('goes on when what it looked at under a lock has changed', async () => {
    const text = `export function looks(): number {
  for (;;) {
    spinLock(LOCK)
    const found = load(P)
    spinUnlock(LOCK)
    if (found !== 0) return found
    relax()
  }
}
export function sets(): number {
  spinLock(LOCK)
  store(P, 7)
  spinUnlock(LOCK)
  return 0
}
`
    expect(await outcomes(text, ['looks', 'sets'])).toEqual({ verdict: 'proved', message: '', ends: ['7,0'] })
    const without = await outcomes(text, ['looks', 'sets'], 'exhaustive')
    expect(without.verdict).toBe('stopped')
    expect(without.message).toMatch(/loops that wait and also write, or make plain loads/)
  })

  it('does not go back to a count of mode changes that another CPU has seen', async () => {
    const text = `export function waits(): number {
  setContext(Mode.kernel)
  while (readOnce(Q) === 0) relax()
  synchronizeRcu()
  setContext(Mode.outside)
  return 0
}
export function watches(): number {
  setContext(Mode.kernel)
  writeOnce(Q, 1)
  const before = readContext(perCpu(0))
  while (readOnce(Global.rcuLock) === 0) relax()
  while (readOnce(Global.rcuLock) !== 0) relax()
  while (readOnce(Global.rcuLock) === 0) relax()
  const after = readContext(perCpu(0))
  setContext(Mode.outside)
  return before === after ? 1 : 0
}
`
    expect(await outcomes(text, ['waits', 'watches'])).toEqual({ verdict: 'proved', message: '', ends: ['0,0'] })
  })

  const RCU = `export function waits(): number {
  setContext(Mode.kernel)
  synchronizeRcu()
  const x = readOnce(P)
  setContext(Mode.outside)
  return x
}
export function reads(): number {
  setContext(Mode.kernel)
  rcuReadLock()
  const x = readOnce(Q)
  writeOnce(P, 1)
  rcuReadUnlock()
  setContext(Mode.outside)
  return x
}
`
  it('counts changes of mode without end, and comes to an end', async () => {
    expect(await outcomes(RCU, ['waits', 'reads'])).toMatchObject({ verdict: 'proved', message: '' })
    expect(await outcomes(RCU, ['waits', 'waits'])).toMatchObject({ verdict: 'proved', message: '' })
  })
})

describe('CPUs that take turns', () => {
  /** One CPU makes its word unlike the other's, the other one makes its own alike; they end once R is `end`. */
  const turns = (end: number): string =>
    ['writeOnce(P, 1 - readOnce(Q))', 'writeOnce(Q, readOnce(P))']
      .map(
        (turn, i) =>
          `export function turns${i}(): number {\n  while (readOnce(R) !== ${end}) {\n    ${turn}\n    relax()\n  }\n  return 0\n}\n`,
      )
      .join('')

  it('for ever are a livelock, which a replay of its path says too', async () => {
    const { verdict, message, again } = (await outcomes(turns(1), ['turns0', 'turns1'])) as {
      verdict: string
      message: string
      again?: string
    }
    expect(verdict).toBe('violation')
    expect(message).toMatch(
      /^livelock: all that can go on take turns for ever, and no way to an end was found: CPU 0 at turns0 .*; CPU 1 at turns1 /,
    )
    expect(again).toBe(message)
  })

  it('until somebody ends it are none', async () => {
    const text = `${turns(1)}export function ends(): number {\n  writeOnce(R, 1)\n  return 0\n}\n`
    expect(await outcomes(text, ['turns0', 'turns1', 'ends'])).toMatchObject({ verdict: 'proved', message: '' })
  })
})
