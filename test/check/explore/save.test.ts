// States that are brought back, and code that is played instead of run, against executions that take every step and run all code.
import { describe, expect, it } from 'vitest'
import { explore } from '../../../src/check/explore/index.ts'
import { kernelModel } from '../../../src/check/explore/kernel-model.ts'
import { type Model, readyAgents } from '../../../src/check/explore/model.ts'
import { randomNumbers } from '../../../src/check/explore/random.ts'
import { cellNamed } from '../../../src/scenario/runner/question.ts'
import { rehearse } from '../../../src/scenario/runner/rehearse.ts'
import { openTiny, SCRATCH } from '../tiny-machine.ts'

const SCHEDULES = 12

/** Cells in which every detector that keeps something of the past has something to keep, and some in which it speaks. */
const CELLS = [
  ['fault-vs-munmap', null, 'vma-lock', 'x86_64', 'rcu-batch'],
  ['smaps-under-rcu-vs-munmap', null, 'vma-lock', 'x86_64', 'ipi'],
  ['two-deferred-fragments', null, 'vma-lock', 'powerpc64-hash-64k', 'pte-free-defer-one-head'],
  ['pae-pmd-same-low-half', null, 'vma-lock', 'x86-pae-irqs-on', 'rcu-batch'],
  ['speculative-fault-vs-fork', null, 'speculative', 'x86_64', 'rcu-batch'],
  ['srcu-fault-vs-munmap-that-frees-tables', null, 'srcu', 'x86_64', 'rcu-batch'],
] as const

/** Where an execution stands, as far as can be seen. */
function look(model: Model): string {
  const digest = new Int32Array(2)
  model.digest?.(digest)
  return `${digest.join()} ${readyAgents(model)} ${model.failure()}`
}

/** The agents of an execution by chance, and how it looked after each step. */
interface Execution {
  readonly agents: number[]
  readonly looks: string[]
  end: string
}

function atEnd(model: Model): string {
  return model.failure() !== '' ? '' : model.finish(0)
}

function executionOf(model: Model, seed: number): Execution {
  const random = randomNumbers(seed)
  const execution: Execution = { agents: [], looks: [], end: '' }
  model.reset()
  for (let running = -1; execution.agents.length < 600; ) {
    let ready = readyAgents(model)
    if (ready === 0 || model.failure() !== '') break
    if (running < 0 || ((ready >> running) & 1) === 0 || random(6) === 0) {
      for (let skip = random(4); skip > 0 && (ready & (ready - 1)) !== 0; skip--) ready &= ready - 1
      running = 31 - Math.clz32(ready & -ready)
    }
    model.step(running)
    execution.agents.push(running)
    execution.looks.push(look(model))
  }
  if (readyAgents(model) === 0) execution.end = atEnd(model)
  return execution
}

/** Follows `execution` from its step `from` on. Returns the first step that looks otherwise, or -1. Tells `before` of each step. */
function follow(model: Model, { agents, looks, end }: Execution, from: number, before: (step: number) => void): number {
  for (let step = from; step < agents.length; step++) {
    before(step)
    model.step(agents[step] as number)
    if (look(model) !== looks[step]) return step
  }
  return readyAgents(model) === 0 && atEnd(model) !== end ? agents.length : -1
}

describe.each(CELLS)('%s %s, %s, %s, %s', (scenario, variant, design, arch, freeing) => {
  it.each([
    ['played', true],
    ['run', false],
  ])('is the same when states are brought back and code is %s', async (_, remembers) => {
    const cell = await cellNamed({ file: null, scenario, variant, combination: { design, arch, freeing } })
    const reference = await rehearse(cell, { remembers: false })
    const executions = Array.from({ length: SCHEDULES }, (_, seed) => executionOf(reference.model, seed))
    expect(executions.some(({ agents }) => agents.length > 5)).toBe(true)

    const { model } = await rehearse(cell, { remembers })
    const random = randomNumbers(1)
    let backs = 0
    for (let round = 0; round < 2; round++) {
      for (const execution of executions) {
        model.reset()
        const saves: (readonly [number, () => boolean])[] = []
        const save = (step: number): void => {
          if (random(8) === 0) saves.push([step, (model.save as () => () => boolean)()])
        }
        expect(follow(model, execution, 0, save)).toBe(-1)
        // Back to one after the other, from the deepest to the beginning, some of them twice.
        for (let [step, back] = saves.pop() ?? [-1, () => false]; step >= 0; [step, back] = saves.pop() ?? [-1, () => false]) {
          for (let again = random(2); again >= 0; again--, backs++) {
            expect(back()).toBe(true)
            if (step > 0) expect(look(model)).toBe(execution.looks[step - 1])
            expect(follow(model, execution, step, () => {})).toBe(-1)
          }
        }
      }
    }
    expect(backs).toBeGreaterThan(SCHEDULES)
  })
})

it('calls that are begun with what memory holds then', async () => {
  const tiny = await openTiny()
  const text =
    "import { readOnce, writeOnce } from '../machine/instructions.ts'\n" +
    'export function look(p: number): number {\nreadOnce(p)\nreturn readOnce(p + 1)\n}\n' +
    'export function note(p: number, value: number): void {\nreadOnce(p)\nwriteOnce(p, value)\n}\n'
  const code = (await tiny.tree.load<Record<string, (...args: number[]) => unknown>>('sync/begun-with.ts', text)) as Record<
    string,
    (...args: number[]) => unknown
  >
  const reports = [true, false].map((saves) => {
    const machine = tiny.machine(2)
    const calls = [
      [() => code.look?.(SCRATCH), () => code.note?.(SCRATCH + 2, (machine.words[SCRATCH] as number) + 10), () => code.look?.(SCRATCH)],
      [() => code.note?.(SCRATCH, 1), () => code.note?.(SCRATCH, 2), () => code.look?.(SCRATCH + 2)],
    ]
    const seen = new Set<number>()
    const check = (): string => {
      seen.add(machine.words[SCRATCH + 2] as number)
      return ''
    }
    const { save, ...model } = kernelModel({ machine, calls, check, remembers: false })
    const { verdict, states, transitions } = explore(saves && save !== undefined ? { ...model, save } : model, { mode: 'states' })
    return { verdict, states, transitions, seen: [...seen].sort() }
  })
  expect(reports[0]).toEqual(reports[1])
  expect(reports[0]?.seen).toEqual([10, 11, 12])
})

it('what was saved before the execution began is of no use', async () => {
  const { model } = await rehearse(
    await cellNamed({
      file: null,
      scenario: 'fault-vs-munmap',
      variant: null,
      combination: { design: 'vma-lock', arch: 'x86_64', freeing: 'rcu-batch' },
    }),
  )
  model.reset()
  const back = (model.save as () => () => boolean)()
  expect(back()).toBe(true)
  model.reset()
  expect(back()).toBe(false)
})
