// The whole kernel stepped: faults beside a munmap of their page, under random schedules, each design on each architecture.
// No schedule hangs, a munmap that has returned is final, a page in use is not reused, nothing is left after exit and a
// grace period. The same with the shoot-down broken must fail.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { openTree, randomScheduler, run, runAlone, type Steps, type Tree } from '../../src/check/index.ts'
import { buildStepped } from '../../src/compile/build.ts'
import { Invalidate } from '../../src/kernel/arch/arch.ts'
import { Access } from '../../src/kernel/pagetable/tlb.ts'
import { Vm } from '../../src/kernel/vma/vma.ts'
import { archByName } from '../../src/machine/shape.ts'
import { pairs } from '../combinations.ts'
import { tearDown, wholeMachine } from './whole-machine.ts'

const RW = Vm.read | Vm.write | Vm.mayRead | Vm.mayWrite
const CPUS = 2

/** Runs faults beside a munmap under `seeds` schedules. Returns what went wrong first, or ''; and how many IPIs arrived. */
async function faultBesideMunmap(
  tree: Tree,
  arch: string,
  design: string,
  seeds: number,
): Promise<{ failure: string; interrupts: number }> {
  const on = tree.instructions
  const whole = await wholeMachine(tree, arch, design, CPUS)
  const { machine, kernel } = whole
  const mm = runAlone(machine, () => kernel.sysNewMm()) as number
  for (let cpu = 0; cpu < CPUS; cpu++) runAlone(machine, () => kernel.sysSwitchMm(mm), cpu)
  const page = runAlone(machine, () => kernel.sysMmap(mm, 0, 4, RW, 0, 0, 0)) as number
  const setup = new Int32Array(machine.words) // a copy
  let unmapped = false
  let interrupts = 0

  function* faults(): Steps<string> {
    let wrong = ''
    for (let i = 0; i < 12; i++) {
      const late = unmapped
      const frame = yield* kernel.beginAccess(page, Access.write)
      if (frame <= 0) continue
      if (late) wrong = 'an access after munmap had returned'
      machine.words[frame] = 4711 + i
      for (let look = 0; look < 3; look++) if ((yield on.readOnce(frame)) !== 4711 + i) wrong ||= 'a page was reused during an access'
      yield* kernel.endAccess()
    }
    return wrong
  }
  function* unmaps(): Steps<string> {
    if ((yield* kernel.beginAccess(page + 1, Access.write)) > 0) yield* kernel.endAccess()
    const result = yield* kernel.sysMunmap(mm, page, 2)
    unmapped = true
    return result === 0 ? '' : `munmap returned ${result}`
  }
  for (let seed = 0; seed < seeds; seed++) {
    machine.words.set(setup)
    unmapped = false
    const outcome = run(machine, [faults, unmaps], randomScheduler(seed, seed % 2 === 0 ? 0 : 0.9), {
      maxSteps: 50_000,
      onStep: (agent) => void (agent < 0 && interrupts++),
    })
    const failure = outcome.message || outcome.results.find((wrong) => wrong !== '')
    if (failure) return { failure: `seed ${seed}: ${failure}`, interrupts }
    const left = tearDown(whole, [mm])
    if (left !== '') return { failure: `seed ${seed}: ${left}`, interrupts }
  }
  return { failure: '', interrupts }
}

describe('fault beside munmap', async () => {
  const tree = await openTree()
  it.each(pairs)('%s on %s', async (design, arch) => {
    const { failure, interrupts } = await faultBesideMunmap(tree, arch, design, 150)
    expect(failure).toBe('')
    // Where flushes are broadcast there is nobody who sends any.
    if (archByName(arch).invalidate === Invalidate.ipi) expect(interrupts).toBeGreaterThan(0)
    else expect(interrupts).toBe(0)
  })

  it.each([
    ['the TLB of others is not told', 'writeOnce(cpu + Cpu.tlbStale, (readOnce(cpu + Cpu.tlbStale) + 1) | 0)', ''],
    [
      'an access under way is not waited for',
      'if (mode === Mode.user) while (readContext(cpu) === context) relax()',
      'if (mode === Mode.user) return',
    ],
  ])('is caught when %s', async (_name, from, to) => {
    const src = fileURLToPath(new URL('../../src/kernel', import.meta.url))
    const text = readFileSync(join(src, 'pagetable/tlb-flush.ts'), 'utf8')
    expect(text).toContain(from)
    const out = mkdtempSync(join(tmpdir(), 'gracewalk-'))
    try {
      await buildStepped(src, join(out, 'kernel'), { replace: { 'pagetable/tlb-flush.ts': text.replace(from, to) } })
      const { failure } = await faultBesideMunmap(await openTree(join(out, 'kernel')), 'x86_64', 'vma-lock', 600)
      expect(failure).toMatch(/an access after munmap|a page was reused/)
    } finally {
      rmSync(out, { recursive: true })
    }
  })
})
