// The states that an exploration finds do not depend on the order in which it takes branches. They would if a digest left
// something out that tells later states apart: of two states taken for one, whichever came first would decide what follows.
import { describe, expect, it } from 'vitest'
import type { Model } from '../../../src/check/explore/model.ts'
import { exploreStates } from '../../../src/check/explore/states.ts'
import { cellNamed } from '../../../src/scenario/runner/question.ts'
import { rehearse } from '../../../src/scenario/runner/rehearse.ts'

/** `model` with its agents numbered from the last to the first: whoever prefers low numbers takes its branches the other way round. */
function backwards(model: Model): Model {
  const { agents, groups } = model
  const other = (agent: number): number => agents - 1 - agent
  const others = (bits: number): number => {
    let all = 0
    for (let agent = 0; agent < agents; agent++) if (((bits >> agent) & 1) !== 0) all |= 1 << other(agent)
    return all
  }
  return {
    ...model,
    groups: groups === null ? null : Int32Array.from({ length: agents }, (_, agent) => groups[other(agent)] as number),
    status: (agent) => model.status(other(agent)),
    footprint: (agent) => model.footprint(other(agent)),
    conditional: (agent) => model.conditional(other(agent)),
    predict: (agent, valueAt) => model.predict(other(agent), valueAt),
    step: (agent) => model.step(other(agent)),
    finish: (blocked) => model.finish(others(blocked)),
    watchPlain: (watcher) => model.watchPlain?.((agent, object, count, writes) => watcher(other(agent), object, count, writes)),
    watchOwners: (watcher) => model.watchOwners?.((agent, object, count) => watcher(other(agent), object, count)),
  }
}

/** How many states `model` has within `bound`, every one matched. */
function statesOf(model: Model, bound: number): number {
  const rules = { sleep: false, local: false, learn: true }
  const { tally, stopped } = exploreStates(model, {
    bound,
    maxSteps: 4000,
    states: 100_000,
    budget: () => '',
    onViolation: () => false,
    rules,
  })
  expect(stopped).toBe('')
  return tally.states
}

const CELLS = [
  ['same-bucket', 'vma-lock', 'x86_64', 'rcu-batch'],
  ['first-fault-vs-munmap', 'vma-lock', 'x86_64', 'rcu-batch'],
  ['madvise-free-vs-write', 'vma-lock', 'x86_64', 'rcu-batch'],
  ['mremap-vs-fault', 'vma-lock', 'x86_64', 'rcu-batch'],
  ['smaps-under-rcu-vs-munmap', 'vma-lock', 'x86_64', 'ipi'],
  ['fault-vs-fork', 'vma-lock', 'x86_64', 'rcu-batch'],
  ['userfault-copy-vs-fault', 'vma-lock', 'x86_64', 'rcu-batch'],
  ['speculative-fault-vs-fork', 'speculative', 'x86_64', 'rcu-batch'],
  ['fault-vs-fork', 'srcu', 'x86_64', 'rcu-batch'],
  ['two-deferred-fragments', 'vma-lock', 'powerpc64-hash-64k', 'pte-free-defer-one-head'],
  ['pae-pmd-same-low-half', 'vma-lock', 'x86-pae-irqs-on', 'rcu-batch'],
] as const

describe('the order in which branches are taken', () => {
  it.each(CELLS)('does not matter to %s with %s on %s', { timeout: 60_000 }, async (scenario, design, arch, freeing) => {
    const cell = await cellNamed({ file: null, scenario, variant: null, combination: { design, arch, freeing } })
    const { model } = await rehearse(cell, {})
    for (const bound of [-1, 1]) {
      const states = statesOf(model, bound)
      expect(states).toBeGreaterThan(100)
      expect(statesOf(backwards(model), bound)).toBe(states)
    }
  })
})
