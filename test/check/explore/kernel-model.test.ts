// The stepped machine as a model: interrupts, spin loops and futexes against plain enumeration on random tasks, and a fault
// beside a munmap of its page, proved, with the shoot-down broken found.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { createBudget } from '../../../src/check/explore/budget.ts'
import { enumerate } from '../../../src/check/explore/enumerate.ts'
import { explore, replay } from '../../../src/check/explore/explore.ts'
import { kernelModel } from '../../../src/check/explore/kernel-model.ts'
import type { Model } from '../../../src/check/explore/model.ts'
import { exploreOptimal } from '../../../src/check/explore/optimal.ts'
import { randomNumbers } from '../../../src/check/explore/random.ts'
import { openTree, type Steps } from '../../../src/check/index.ts'
import { buildStepped } from '../../../src/compile/build.ts'
import { cpuWord, openTiny, SCRATCH, type Tiny } from '../tiny-machine.ts'
import { faultBesideMunmap } from './kernel-scenarios.ts'
import { traceOf } from './random-programs.ts'

const PROGRAMS = Number(process.env.GRACEWALK_FUZZ ?? 60)

/** Two or three CPUs that read, write, lock, turn interrupts off, send IPIs, and wait for one another. */
function randomTasks(tiny: Tiny, seed: number, onEnd: (end: string) => void): { model: () => Model; text: string } {
  const on = tiny.tree.instructions
  const { Cpu } = tiny.tree.percpu
  const random = randomNumbers(seed)
  const cpus = 2 + random(2)
  const plans: { kind: string; p: number; a: number }[][] = []
  const kinds = ['read', 'write', 'or', 'cas', 'irq', 'ipi', 'ipi', 'ipiWait', 'spin', 'futexWait', 'futexWake']
  for (let cpu = 0; cpu < cpus; cpu++) {
    const length = 1 + random(cpus === 2 ? 3 : 2)
    plans.push(Array.from({ length }, () => ({ kind: kinds[random(kinds.length)] as string, p: SCRATCH + random(2), a: random(3) })))
  }
  function* task(plan: (typeof plans)[number], cpu: number): Steps<number> {
    let seen = 0
    for (const { kind, p, a } of plan) {
      if (kind === 'read') seen = yield on.readOnce(p)
      else if (kind === 'write') yield on.writeOnce(p, a + seen)
      else if (kind === 'or') yield on.atomicOr(p, a)
      else if (kind === 'cas') yield on.cmpxchg(p, 0, a)
      else if (kind === 'irq') {
        yield on.irqSave()
        yield on.writeOnce(p, a)
        yield on.irqRestore()
      } else if (kind === 'ipi') yield on.sendIpi((cpu + 1) % cpus)
      else if (kind === 'ipiWait') {
        const other = (cpu + 1) % cpus
        const request = yield on.sendIpi(other)
        while (((yield on.readOnce(cpuWord(other, Cpu.ipiAcks))) - request) | 0) yield on.relax()
      } else if (kind === 'spin') while ((yield on.readOnce(p)) === a) yield on.relax()
      else if (kind === 'futexWait') yield on.futexWait(p, a)
      else yield on.futexWake(p, 1)
    }
    return seen
  }
  return {
    text: plans.map((plan) => plan.map(({ kind, p, a }) => `${kind}(${p - SCRATCH},${a})`).join('; ')).join('  ∥  '),
    model: () => {
      const machine = tiny.machine(cpus, function* () {
        const cpu = tiny.tree.announce.cpu
        const requests = yield on.readOnce(cpuWord(cpu, Cpu.ipiRequests))
        yield on.atomicAdd(SCRATCH, 1)
        yield on.writeOnce(cpuWord(cpu, Cpu.ipiAcks), requests)
      } as () => Steps<void>)
      return kernelModel({
        machine,
        calls: plans.map((plan, cpu) => [() => task(plan, cpu)]),
        handWritten: true,
        check: (results, words) => {
          onEnd(`${results.join()} ${words.subarray(SCRATCH, SCRATCH + 4).join()}`)
          return ''
        },
      })
    },
  }
}

/** Compares reduction with enumeration. Returns what differs, '' if nothing, or null if there are too many interleavings. */
function compare(tiny: Tiny, seed: number): string | null {
  let end = 'somebody waits'
  const { model: make, text } = randomTasks(tiny, seed, (to) => {
    end = to
  })
  const model = make()
  const expected = new Map<string, number>()
  const paths: { path: number[]; end: string }[] = []
  const tally = enumerate(model, createBudget({ executions: 4000 }), 200, 1000, false, (path) => {
    paths.push({ path: [...path], end })
    end = 'somebody waits'
    return false
  })
  if (tally.stopped !== '') return null
  const ends = new Map<string, string>()
  let differing = 0
  for (const { path, end: to } of paths) {
    const key = traceOf(model, path)
    expected.set(key, 0)
    if (ends.has(key) && ends.get(key) !== to) differing++
    ends.set(key, to)
  }
  const found: number[][] = []
  const optimal = exploreOptimal(model, createBudget({}), 200, (trace) => {
    found.push(Array.from(trace.agentOf.subarray(0, trace.depth)))
    return false
  })
  let strange = 0
  for (const path of found) {
    const key = traceOf(model, path)
    const times = expected.get(key)
    if (times === undefined) strange++
    else expected.set(key, times + 1)
  }
  const missed = [...expected.values()].filter((times) => times === 0).length
  const twice = [...expected.values()].filter((times) => times > 1).length
  if (missed + twice + strange + differing + optimal.redundant === 0) return ''
  return `seed ${seed}: of ${expected.size} traces ${missed} missed, ${twice} twice, ${strange} strange, ${differing} differ, ${optimal.redundant} redundant: ${text}`
}

it('visits each trace of random tasks with interrupts once', async () => {
  const tiny = await openTiny()
  const failures: string[] = []
  let compared = 0
  for (let seed = 0; compared < PROGRAMS; seed++) {
    const failure = compare(tiny, seed)
    if (failure === null) continue
    compared++
    if (failure !== '') failures.push(failure)
  }
  expect(failures.slice(0, 5)).toEqual([])
})

describe('fault beside munmap', () => {
  it('is proved', async () => {
    const report = explore(await faultBesideMunmap(await openTree(), 'x86_64', 'vma-lock', 0), { milliseconds: 50_000 })
    expect(report).toMatchObject({ verdict: 'proved', message: '', redundant: 0, stuck: 0, agents: 3 })
    expect(report.executions).toBeGreaterThan(50)
  })

  it.each([
    [
      'an access under way is not waited for',
      'if (mode === Mode.user) while (readContext(cpu) === context) relax()',
      'if (mode === Mode.user) return',
    ],
    ['the TLB of others is not told', 'writeOnce(cpu + Cpu.tlbStale, (readOnce(cpu + Cpu.tlbStale) + 1) | 0)', ''],
  ])('is found wrong when %s', async (_name, from, to) => {
    const src = fileURLToPath(new URL('../../../src/kernel', import.meta.url))
    const text = readFileSync(join(src, 'pagetable/tlb-flush.ts'), 'utf8')
    expect(text).toContain(from)
    const out = mkdtempSync(join(tmpdir(), 'gracewalk-'))
    try {
      await buildStepped(src, join(out, 'kernel'), {
        replace: { 'pagetable/tlb-flush.ts': text.replace(from, to) },
      })
      const model = await faultBesideMunmap(await openTree(join(out, 'kernel')), 'x86_64', 'vma-lock', 0)
      const report = explore(model, { milliseconds: 50_000 })
      expect(report.verdict).toBe('violation')
      expect(replay(model, report.path)).toBe(report.message)
    } finally {
      rmSync(out, { recursive: true })
    }
  })
})
