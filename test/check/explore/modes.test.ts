// Modes, budgets and verdicts: what each says and what it must not say.
import { describe, expect, it } from 'vitest'
import { aba, lockedCounter, storeBuffering } from '../../../bench/check/programs.ts'
import { explore } from '../../../src/check/explore/explore.ts'
import { litmus } from '../../../src/check/explore/litmus.ts'
import { PathMismatch, replay } from '../../../src/check/explore/replay.ts'

describe('verdicts', () => {
  it('proves only what was explored to its end', () => {
    expect(explore(litmus(lockedCounter(3, 3)))).toMatchObject({ verdict: 'proved', preemptions: null })
    expect(explore(litmus(lockedCounter(3, 3)), { executions: 1679 })).toMatchObject({
      verdict: 'stopped',
      message: 'the budget of 1679 executions is spent',
    })
    expect(explore(litmus(lockedCounter(3, 3)), { executions: 1680 }).verdict).toBe('proved')
    expect(explore(litmus(storeBuffering(12)), { milliseconds: 20 })).toMatchObject({
      verdict: 'stopped',
      message: 'the budget of 0.02 s is spent',
    })
    expect(explore(litmus(lockedCounter(3, 3)), { maxSteps: 10 })).toMatchObject({
      verdict: 'stopped',
      message: 'an execution has more than 10 steps',
    })
  })

  it('says up to how many preemptions nothing is wrong', () => {
    const bounded = explore(litmus(storeBuffering(4)), { mode: 'bounded', preemptions: 2 })
    expect(bounded).toMatchObject({ verdict: 'bounded', preemptions: 2 })
    // One round has few preemptions to offer: all of them are all there is.
    expect(explore(litmus(storeBuffering(1)), { mode: 'bounded', preemptions: 9 })).toMatchObject({ verdict: 'proved', preemptions: 2 })
    expect(explore(litmus(storeBuffering(4)), { mode: 'check' }).verdict).toBe('proved')
    expect(explore(litmus(storeBuffering(4)), { mode: 'bounded', executions: 3 })).toMatchObject({ verdict: 'stopped', preemptions: 0 })
  })

  it('refuses to judge where nothing ran', () => {
    expect(() => explore(litmus({ words: 1, agents: [function* () {}] }))).toThrow('nothing was explored')
  })

  it('never proves by chance', () => {
    for (const mode of ['random', 'pct'] as const) {
      expect(explore(litmus(lockedCounter(2, 1)), { mode, executions: 500 })).toMatchObject({ verdict: 'stopped', executions: 500 })
    }
  })
})

describe('bugs', () => {
  it.each(['exhaustive', 'bounded', 'check', 'random', 'pct'] as const)('are found and replayed: %s', (mode) => {
    const model = litmus(aba())
    const report = explore(model, { mode, executions: 20_000, seed: 7 })
    expect(report.verdict).toBe('violation')
    expect(replay(model, report.path)).toBe(report.message)
    expect(replay(litmus(aba()), report.path)).toBe(report.message)
  })

  it('has the fewest preemptions when bounded', () => {
    expect(explore(litmus(aba()), { mode: 'check' })).toMatchObject({ verdict: 'violation', preemptions: 0 })
  })

  it('is the same for equal seeds', () => {
    const paths = [3, 3, 4].map((seed) => explore(litmus(aba()), { mode: 'random', seed, executions: 20_000 }).path.join())
    expect(paths[0]).toBe(paths[1])
    expect(paths[0]).not.toBe(paths[2])
  })

  it('does not replay on another program', () => {
    const { path } = explore(litmus(aba()))
    expect(() => replay(litmus(storeBuffering(1)), path)).toThrow(PathMismatch)
  })
})

it('counts what it saw', () => {
  const report = explore(litmus(lockedCounter(3, 2)))
  expect(report).toMatchObject({ executions: 90, agents: 3, locations: 1, maxDepth: 12, violations: 0 })
  expect(report.steps).toBeGreaterThan(report.replayed)
  expect(report.yieldPoints).toBeGreaterThan(0)
})
