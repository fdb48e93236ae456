// Search of states where interrupts arrive: a task and its handler share a processor, plain accesses and all. No two states
// are taken for one here, so that only the reductions are judged: ends are those that plain enumeration finds.
import { expect, it } from 'vitest'
import { createBudget } from '../../../src/check/explore/budget.ts'
import { enumerate } from '../../../src/check/explore/enumerate.ts'
import { kernelModel } from '../../../src/check/explore/kernel-model.ts'
import type { Model } from '../../../src/check/explore/model.ts'
import { randomNumbers } from '../../../src/check/explore/random.ts'
import { exploreStates } from '../../../src/check/explore/states.ts'
import type { Steps } from '../../../src/check/index.ts'
import { cpuWord, openTiny, SCRATCH, type Tiny } from '../tiny-machine.ts'

const PROGRAMS = Number(process.env.GRACEWALK_FUZZ ?? 60)
const KINDS = ['read', 'write', 'own', 'own', 'plain', 'plain', 'irq', 'ipi', 'ipi', 'ipiWait', 'futexWait', 'futexWake']

/** Two CPUs that interrupt each other. What a handler writes plainly its task reads plainly. `note` is told of each end. */
function randomTasks(tiny: Tiny, seed: number, note: (end: string) => void): { model: Model; text: string } {
  const on = tiny.tree.instructions
  const { Cpu } = tiny.tree.percpu
  const random = randomNumbers(seed)
  const plans = Array.from({ length: 2 }, () =>
    Array.from({ length: 2 + random(3) }, () => ({ kind: KINDS[random(KINDS.length)] as string, a: random(3) })),
  )
  function* task(plan: (typeof plans)[number], cpu: number): Steps<string> {
    const own = SCRATCH + 4 + cpu
    const percpu = SCRATCH + 6 + cpu
    const other = 1 - cpu
    let seen = 0
    let text = ''
    for (const { kind, a } of plan) {
      if (kind === 'read') seen = yield on.readOnce(SCRATCH)
      else if (kind === 'write') yield on.writeOnce(SCRATCH, a)
      else if (kind === 'own') yield on.atomicAdd(own, 1)
      else if (kind === 'plain') {
        yield on.atomicAdd(own, 1)
        seen = on.load(percpu)
        on.store(percpu, seen + 4)
      } else if (kind === 'irq') {
        yield on.irqSave()
        yield on.writeOnce(SCRATCH, a)
        yield on.irqRestore()
      } else if (kind === 'ipi') yield on.sendIpi(other)
      else if (kind === 'ipiWait') {
        const request = yield on.sendIpi(other)
        while (((yield on.readOnce(cpuWord(other, Cpu.ipiAcks))) - request) | 0) yield on.relax()
      } else if (kind === 'futexWait') yield on.futexWait(SCRATCH, a)
      else yield on.futexWake(SCRATCH, 1)
      text += `${seen} `
    }
    return text
  }
  const machine = tiny.machine(2, function* () {
    const cpu = tiny.tree.announce.cpu
    on.store(SCRATCH + 6 + cpu, on.load(SCRATCH + 6 + cpu) * 2 + 1)
    const requests = yield on.readOnce(cpuWord(cpu, Cpu.ipiRequests))
    const now = yield on.readOnce(SCRATCH)
    yield on.writeOnce(SCRATCH + 2 + cpu, now + 1)
    yield on.writeOnce(cpuWord(cpu, Cpu.ipiAcks), requests)
  } as () => Steps<void>)
  const model = kernelModel({
    machine,
    handWritten: true,
    calls: plans.map((plan, cpu) => [() => task(plan, cpu)]),
    check: (results, words) => {
      note(`${results.join()} ${words.subarray(SCRATCH, SCRATCH + 8).join()}`)
      return ''
    },
  })
  return { model, text: plans.map((plan) => plan.map(({ kind, a }) => `${kind}(${a})`).join('; ')).join('  ∥  ') }
}

/** Compares the search with enumeration. Null if there are too many interleavings. */
function compare(tiny: Tiny, seed: number, bound: number): string | null {
  let ends = new Set<string>()
  const { model, text } = randomTasks(tiny, seed, (end) => ends.add(end))
  // Here plain accesses of different processors do not meet.
  const { watchPlain: _, ...enumerated } = model
  let stuck = false
  const tally = enumerate(enumerated, createBudget({ executions: 3000 }), 200, bound < 0 ? 1000 : bound, false, (_path, failure) => {
    stuck ||= failure !== ''
    return false
  })
  if (tally.stopped !== '') return null
  const expected = ends
  ends = new Set()
  let states = 0
  const told: Model = {
    ...model,
    digest: (into) => {
      into[0] = ++states
    },
  }
  let found = false
  const onViolation = (): boolean => {
    found = true
    return false
  }
  const result = exploreStates(told, { bound, maxSteps: 200, states: 100_000, budget: createBudget({}), onViolation })
  const missed = [...expected].filter((end) => !ends.has(end)).length
  const strange = [...ends].filter((end) => !expected.has(end)).length
  if (result.stopped === '' && missed + strange === 0 && found === stuck) return ''
  return `seed ${seed}, bound ${bound}: ${result.stopped} of ${expected.size} ends ${missed} missed, ${strange} strange, stuck ${stuck} ${found}: ${text}`
}

it('finds the ends that enumeration finds', async () => {
  const tiny = await openTiny()
  const failures: string[] = []
  for (const bound of [-1, 0, 1, 2]) {
    for (let seed = 0, compared = 0; compared < PROGRAMS; seed++) {
      const failure = compare(tiny, seed, bound)
      if (failure === null) continue
      compared++
      if (failure !== '') failures.push(failure)
    }
  }
  expect(failures.slice(0, 5)).toEqual([])
})
