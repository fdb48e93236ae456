// Every detector is woken by a scenario that ships: by one of its broken variants, or where the kernel as it is must fail. What
// wakes none is named here, with the reason.
import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { explore, replay } from '../../src/check/explore/index.ts'
import { SCENARIOS } from '../../src/scenario/all.ts'
import type { Combination } from '../../src/scenario/runner/axes.ts'
import { cellOf, exploreRehearsal } from '../../src/scenario/runner/check.ts'
import { rehearse } from '../../src/scenario/runner/rehearse.ts'
import { brokenTree } from '../../src/scenario/runner/variant.ts'
import type { Variant } from '../../src/scenario/scenario.ts'

const DETECT = fileURLToPath(new URL('../../src/check/detect/', import.meta.url))

/** For each detector a scenario (and its variant, or the combination on which it must fail) that wakes it. */
const WOKEN_BY: Readonly<Record<string, readonly [scenario: string, variant: string | null, on?: Partial<Combination>]>> = {
  counters: ['file-fault-vs-file-fault', 'installed-twice'],
  'data-race': ['srcu-two-callbacks', 'queued-unlocked'],
  'double-free': ['memory-runs-out-in-split', 'upper-part-freed-twice'],
  deadlock: ['file-fault-vs-file-fault', 'never-woken'],
  hole: ['smaps-under-rcu-vs-mprotect', null],
  leak: ['userfault-copy-twice', 'page-kept'],
  linearizability: ['userfault-copy-vs-fault', 'zero-filled'],
  'lock-order': ['spinlock-vs-interrupt', 'irqs-on'],
  'map-counts': ['unmap-of-shared-page', 'count-in-two-steps'],
  'null-pointer': ['pin-vs-dontneed', 'no-page'],
  'rcu-head': ['two-deferred-fragments', null, { freeing: 'pte-free-defer-one-head', arch: 'powerpc64-hash-64k' }],
  'reused-in-section': ['last-fragment-vs-walker', 'not-marked'],
  'sleep-in-atomic': ['file-fault-vs-file-fault', 'waits-under-a-spinlock'],
  'stale-tlb': ['dontneed-vs-dontneed', 'no-nested-flush'],
  torn: ['pae-clear', 'high-half-first'],
  unbalanced: ['memory-runs-out-in-split', 'locked-for-ever'],
  'use-after-free': ['pin-vs-dontneed', 'no-reference'],
}

/** Detectors that no scenario of the matrix wakes, and why. */
const EXCEPTIONS: Readonly<Record<string, string>> = {
  'double-allocation':
    'an allocator that gives the same thing twice has raced for its list first; test/check/detect/use-after-free.test.ts has one',
  'relaxed-race': 'executions of the matrix are sequentially consistent; the test below asks for the orderings',
}

/** An unlock that orders nothing: no scenario may notice under sequential consistency. */
const RELAXED_UNLOCK: Variant = {
  name: 'relaxed-unlock',
  wrong: 'the store that unlocks orders nothing',
  edits: [
    {
      file: 'sync/spinlock.ts',
      from: 'export function spinUnlock(lock: number): void {\n  lockReleased(lock)\n  smpStoreRelease(lock, 0)',
      to: 'export function spinUnlock(lock: number): void {\n  lockReleased(lock)\n  writeOnce(lock, 0)',
    },
    { file: 'sync/spinlock.ts', from: 'smpStoreRelease }', to: 'smpStoreRelease, writeOnce }' },
  ],
  unsafe: /ordered only by relaxed accesses/,
}

function scenarioCalled(name: string) {
  const found = SCENARIOS.find((one) => one.name === name)
  if (found === undefined) throw new Error(`no scenario ${name}`)
  return found
}

describe('the detectors', () => {
  it('are each woken by a scenario, or it is said why not', () => {
    const names = new Set<string>()
    for (const file of readdirSync(DETECT)) {
      const text = readFileSync(`${DETECT}${file}`, 'utf8')
      for (const [, expression] of text.matchAll(/\bdetector: ([^,\n]+)/g))
        for (const [, name] of (expression as string).matchAll(/'([a-z-]+)'/g)) names.add(name as string)
    }
    expect(names.size).toBeGreaterThan(14)
    expect([...names].sort()).toEqual([...Object.keys(WOKEN_BY), ...Object.keys(EXCEPTIONS)].sort())
  })

  it.each(Object.entries(WOKEN_BY))('%s', async (detector, [name, variant, on = {}]) => {
    const cell = cellOf(scenarioCalled(name), on, variant)
    expect(cell.expected).not.toBe('safe')
    const rehearsal = await rehearse(cell)
    const report = exploreRehearsal(rehearsal, {})
    expect(report.verdict).toBe('violation')
    replay(rehearsal.model, report.path)
    expect(rehearsal.detectors.violation()?.detector).toBe(detector)
  })

  it('relaxed-race, where orderings are asked for', async () => {
    const cell = cellOf(scenarioCalled('srcu-two-callbacks'))
    const broken = await rehearse(cell, { tree: await brokenTree(RELAXED_UNLOCK), orderings: true })
    const report = explore(broken.model, { mode: 'exhaustive' })
    expect(report.message).toMatch(RELAXED_UNLOCK.unsafe)
    expect(broken.detectors.violation()?.detector).toBe('relaxed-race')
    const sound = await rehearse(cell, { orderings: true })
    expect(explore(sound.model, { mode: 'exhaustive' })).toMatchObject({ verdict: 'proved', message: '' })
    // Under sequential consistency the two are the same.
    expect(exploreRehearsal(await rehearse(cell, { tree: await brokenTree(RELAXED_UNLOCK) }), {}).verdict).toBe('proved')
  })
})
