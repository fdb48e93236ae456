// Digests of states of the stepped kernel: states with equal digests have equal futures, and ways that make no difference
// lead to equal digests.
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { beforeAll, describe, expect, it } from 'vitest'
import { kernelModel } from '../../../src/check/explore/kernel-model.ts'
import { statistics } from '../../../src/check/explore/kernel-statistics.ts'
import type { Model } from '../../../src/check/explore/model.ts'
import { randomNumbers } from '../../../src/check/explore/random.ts'
import { attachKernel, type Machine, openTree, runAlone, type Steps, type Task, type Tree } from '../../../src/check/index.ts'
import { kernelFiles } from '../../../src/compile/build.ts'
import { Access } from '../../../src/kernel/pagetable/tlb.ts'
import { Vm } from '../../../src/kernel/vma/vma.ts'
import { bootMachine } from '../../../src/machine/machine.ts'
import { archByName } from '../../../src/machine/shape.ts'
import { openTiny, SCRATCH, type Tiny } from '../tiny-machine.ts'
import { DIGEST_HEAD, DIGEST_PROGRAMS } from './digest-programs.ts'
import { compareEqualStates, type Subject } from './equal-states.ts'
import { randomSource } from './random-source.ts'

const PROGRAMS = Number(process.env.GRACEWALK_FUZZ ?? 40)

type Code = Record<string, (...args: number[]) => unknown>

let tiny: Tiny
beforeAll(async () => {
  tiny = await openTiny()
})

function subject(machine: Machine, calls: readonly (readonly Task[])[]): Subject {
  const model = kernelModel({ machine, calls, check: (results) => JSON.stringify(results), remembers: false })
  return { model, machine, ignored: statistics(machine) }
}

it('tells states of random programs apart whose futures differ', async () => {
  let pairs = 0
  const wrong: string[] = []
  for (let seed = 0; seed < PROGRAMS; seed++) {
    const text = randomSource(randomNumbers(seed), 2)
    const code = (await tiny.tree.load<Code>(`sync/random${seed}.ts`, text)) as unknown as Code
    const machine = tiny.machine(2, () => code.answer?.())
    const calls = [0, 1].map((cpu) => [() => code[`task${cpu}`]?.(cpu, 1), () => code[`task${1 - cpu}`]?.(2, cpu)])
    const found = compareEqualStates(subject(machine, calls), seed, 30, 60)
    pairs += found.pairs
    if (found.wrong !== '') wrong.push(`seed ${seed}: ${found.wrong}\n${text}`)
  }
  expect(wrong.slice(0, 1)).toEqual([])
  expect(pairs).toBeGreaterThan(PROGRAMS * 10)
})

describe('states of equal digests have equal futures', () => {
  it.each(DIGEST_PROGRAMS.map((program) => [program.name, program] as const))('%s', async (name, { text, calls }) => {
    const file = `sync/digest-${name.replaceAll(/\W+/g, '-')}.ts`
    const code = (await tiny.tree.load<Code>(file, DIGEST_HEAD + text)) as unknown as Code
    const tasks = calls.map((list) =>
      list.map(
        ([call, ...args]) =>
          () =>
            code[call]?.(...args),
      ),
    )
    const found = compareEqualStates(subject(tiny.machine(calls.length), tasks), 1, 200, 100)
    expect(found.wrong).toBe('')
    expect(found.pairs).toBeGreaterThan(5)
  })
})

/** CPU 0 writes to a page of a mapping that CPU 1 unmaps. */
async function faultBesideMunmap(tree: Tree, arch: string, design: string): Promise<Subject> {
  const memory = 160 * 2 ** archByName(arch).pageShift
  const machine = await attachKernel(tree, bootMachine({ arch, design, cpus: 2, memory, poison: true }).buffer)
  const kernel = await tree.module<typeof import('../../../src/kernel/kernel.ts')>('kernel.ts')
  const mm = runAlone(machine, () => kernel.sysNewMm()) as number
  for (let cpu = 0; cpu < 2; cpu++) runAlone(machine, () => kernel.sysSwitchMm(mm), cpu)
  const rw = Vm.read | Vm.write | Vm.mayRead | Vm.mayWrite
  const page = runAlone(machine, () => kernel.sysMmap(mm, 0, 4, rw, 0, 0, 0)) as number
  const touch = [() => kernel.beginAccess(page, Access.write), () => kernel.endAccess()]
  for (let cpu = 0; cpu < 2; cpu++) for (const call of touch) runAlone(machine, call, cpu)
  return subject(machine, [touch, [() => kernel.sysMunmap(mm, page, 2)]])
}

describe('fault beside munmap', () => {
  it.each([
    ['x86_64', 'vma-lock'],
    ['powerpc64-hash-64k', 'mmap-lock'],
  ])('has equal futures from equal states: %s, %s', async (arch, design) => {
    const found = compareEqualStates(await faultBesideMunmap(await openTree(), arch, design), 1, 60, 60)
    expect(found.wrong).toBe('')
    expect(found.pairs).toBeGreaterThan(100)
  })
})

/** The digest after `path`. */
function digestAfter(model: Model, path: readonly number[]): string {
  const into = new Int32Array(2)
  model.reset()
  for (const agent of path) model.step(agent)
  model.digest?.(into)
  return into.join()
}

describe('ways that make no difference', () => {
  const HEAD =
    "import { load, readOnce, relax, store, writeOnce } from '../machine/instructions.ts'\nimport { spinLock, spinUnlock } from './spinlock.ts'\n"
  const load = async (name: string, body: string): Promise<Code> =>
    (await tiny.tree.load<Code>(`sync/${name}.ts`, HEAD + body)) as unknown as Code

  it('steps on different words commute', async () => {
    const { set } = await load('commute', 'export function set(p: number, v: number): void {\nwriteOnce(p, v)\nwriteOnce(p + 1, v)\n}')
    const { model } = subject(tiny.machine(2), [[() => set?.(SCRATCH, 1)], [() => set?.(SCRATCH + 4, 2)]])
    expect(digestAfter(model, [0, 1])).toBe(digestAfter(model, [1, 0]))
    expect(digestAfter(model, [0])).not.toBe(digestAfter(model, [1]))
    expect(digestAfter(model, [0, 0, 1, 1])).toBe(digestAfter(model, [1, 0, 1, 0]))
  })

  it('so do critical sections without effect', async () => {
    const { enter } = await load('section', 'export function enter(lock: number): void {\nspinLock(lock)\nspinUnlock(lock)\n}')
    const { model } = subject(tiny.machine(2), [[() => enter?.(SCRATCH)], [() => enter?.(SCRATCH)]])
    expect(digestAfter(model, [0, 0, 1, 1])).toBe(digestAfter(model, [1, 1, 0, 0]))
  })

  it('a local that is not needed any more tells nothing', async () => {
    const { forget } = await load(
      'forget',
      'export function forget(p: number): void {\nlet x = readOnce(p)\nwriteOnce(p + 2, x & 0)\nfor (let i = 0; i < 2; i++) {\nconst y = readOnce(p)\nwriteOnce(p + 3, y & 0)\n}\nx = 0\nwriteOnce(p + 4, x)\n}',
    )
    const { set } = await load('set', 'export function set(p: number): void {\nwriteOnce(p, 1)\n}')
    const { model } = subject(tiny.machine(2), [[() => forget?.(SCRATCH)], [() => set?.(SCRATCH)]])
    expect(digestAfter(model, [0, 0, 1])).toBe(digestAfter(model, [1, 0, 0]))
    expect(digestAfter(model, [0, 1, 0, 0, 0])).toBe(digestAfter(model, [1, 0, 0, 0, 0]))
  })

  it('what a loop saw before it came round tells nothing', async () => {
    const { wait } = await load('wait', 'export function wait(p: number): void {\nwhile (readOnce(p) < 3) relax()\n}')
    const { count } = await load('count', 'export function count(p: number): void {\nwriteOnce(p, 1)\nwriteOnce(p, 2)\n}')
    const { model } = subject(tiny.machine(2), [[() => wait?.(SCRATCH)], [() => count?.(SCRATCH)]])
    expect(digestAfter(model, [0, 1, 0, 0, 1, 0, 0])).toBe(digestAfter(model, [1, 1, 0]))
  })
})

it('a generator that was not compiled has no digest', () => {
  function* byHand(): Steps<void> {
    yield tiny.tree.instructions.readOnce(SCRATCH)
  }
  const hidden = kernelModel({ machine: tiny.machine(1), calls: [[() => byHand()]] })
  expect(() => digestAfter(hidden, [])).toThrow(/handWritten/)
  expect(kernelModel({ machine: tiny.machine(1), calls: [[byHand]] }).digest).toBeUndefined()
  expect(kernelModel({ machine: tiny.machine(1), calls: [[() => byHand()]], handWritten: true }).digest).toBeUndefined()
})

it('nothing in the kernel is decided by a statistic', () => {
  const src = fileURLToPath(new URL('../../../src/kernel', import.meta.url))
  let uses = 0
  for (const path of kernelFiles(src)) {
    for (const line of readFileSync(`${src}/${path}`, 'utf8').split('\n')) {
      if (!/Cpu\.stat[A-Z]/.test(line)) continue
      uses++
      // store(cpu + Cpu.statFaults, load(cpu + Cpu.statFaults) + 1)
      expect(line, path).toMatch(/^\s*(?:if \([a-z !=0]+\) )?store\((\S+ \+ Cpu\.stat\w+), load\(\1\) \+ .*\)$/)
    }
  }
  expect(uses).toBeGreaterThan(10)
})
