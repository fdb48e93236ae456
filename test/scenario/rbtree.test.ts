// What is said of the red-black tree beside its scenarios: kernels with a change after which they are right, or as right as before.
import { expect, it } from 'vitest'
import { explore } from '../../src/check/explore/index.ts'
import { rbtreeFaultVsReuse, rbtreeFaultVsRotation } from '../../src/scenario/rbtree-faults.ts'
import { cellOf } from '../../src/scenario/runner/check.ts'
import { rehearse } from '../../src/scenario/runner/rehearse.ts'
import { type Scenario, scenario, type Variant } from '../../src/scenario/scenario.ts'

async function verdictOf(one: Scenario, on: object, variant: string): Promise<string> {
  const { model } = await rehearse(cellOf(one, on, variant))
  const { verdict, message } = explore(model, { executions: 200_000 })
  return `${verdict} ${message}`.trim()
}

/** `one` with a kernel that is changed, for better or worse. */
function changed(one: Scenario, edits: Variant['edits']): Scenario {
  return scenario({ ...one, variants: [{ name: 'changed', wrong: 'nothing', edits, unsafe: /./ }] })
}

const marked: Variant['edits'] = [
  { file: 'syscall/mmap.ts', from: 'import { atomicAdd, load, store }', to: 'import { atomicAdd, load, store, writeOnce }' },
  ...['start, start)', 'end, start + pages)', 'flags, flags)', 'pgoff, pgoff)', 'file, file)'].map((field) => ({
    file: 'syscall/mmap.ts',
    from: `  store(vma + Vma.${field}\n`,
    to: `  writeOnce(vma + Vma.${field}\n`,
  })),
  ...['file', 'anonVma'].map((field) => ({
    file: 'vma/vma.ts',
    from: `  store(vma + Vma.${field}, 0)\n`,
    to: `  writeOnce(vma + Vma.${field}, 0)\n`,
  })),
]
const freedAtOnce = rbtreeFaultVsReuse.variants?.find(({ name }) => name === 'freed-at-once')?.edits ?? []

it('may have VMAs that are freed at once, if they are set up with marked stores', { timeout: 120_000 }, async () => {
  expect(await verdictOf(changed(rbtreeFaultVsReuse, marked), { design: 'vma-lock' }, 'changed')).toBe('proved')
  expect(freedAtOnce).not.toEqual([])
  expect(await verdictOf(changed(rbtreeFaultVsReuse, [...marked, ...freedAtOnce]), { design: 'speculative' }, 'changed')).toBe('proved')
})

it('needs no bound of the walk under sequential consistency', { timeout: 120_000 }, async () => {
  const unbounded = [{ file: 'vma/rbtree.ts', from: '    if (seen === limit) return -ELOOP\n', to: '' }]
  expect(await verdictOf(changed(rbtreeFaultVsRotation, unbounded), { design: 'speculative' }, 'changed')).toBe('proved')
})

it('may not be believed where it says that there is nothing, as a maple tree may', { timeout: 120_000 }, async () => {
  for (const [design, variant] of [
    ['speculative', 'miss-believed'],
    ['vma-lock', 'miss-believed-under-rcu'],
  ] as const) {
    expect(await verdictOf(rbtreeFaultVsRotation, { design, index: 'rbtree' }, variant)).toMatch(/^violation/)
    expect(await verdictOf(rbtreeFaultVsRotation, { design, index: 'maple' }, variant)).toBe('proved')
  }
})
