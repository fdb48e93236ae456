// x86 with PAE: what its scenarios cannot say by themselves.
import { describe, expect, it } from 'vitest'
import { type ExploreOptions, explore } from '../../src/check/explore/index.ts'
import { SmapsWalk } from '../../src/kernel/proc/smaps.ts'
import { Vm } from '../../src/kernel/vma/vma.ts'
import { highpteUnmapOrder } from '../../src/scenario/highpte-unmap-order.ts'
import { paeSameLowHalf } from '../../src/scenario/pae-pmd-beside-reuse.ts'
import { AXES } from '../../src/scenario/runner/axes.ts'
import { READ_WRITE } from '../../src/scenario/runner/calls.ts'
import { cellOf } from '../../src/scenario/runner/check.ts'
import { rehearse } from '../../src/scenario/runner/rehearse.ts'
import { type Scenario, scenario } from '../../src/scenario/scenario.ts'

async function verdictOf(one: Scenario, on: object, variant?: string, how: ExploreOptions = {}, except: readonly string[] = []) {
  const { model } = await rehearse(cellOf(one, on, variant), { except })
  const { verdict, message } = explore(model, { executions: 200_000, ...how })
  return `${verdict} ${message}`.trim()
}

describe('a PTE of two halves', () => {
  /** mprotect clears each entry for a moment, and gives it the same low half back before it flushes. */
  const rewritten = (name: string, rights: number): Scenario =>
    scenario({
      name,
      question: '?',
      asked: 'here',
      cpus: 2,
      archs: ['x86-pae'],
      designs: ['vma-lock'],
      setUp: (stage) => {
        const mm = stage.newMm()
        const page = stage.table(4)
        stage.now(1, mm.mmap(page, 1, READ_WRITE))
        stage.now(1, mm.write(page, 1))
        stage.now(1, mm.mprotect(page, 1, rights))
        return { calls: [[mm.smaps(page, 1, SmapsWalk.irqOff)], [mm.mprotect(page, 1, Vm.write | Vm.read)]] }
      },
      expect: 'safe',
    })

  it('is not whole beside an mprotect that leaves its low half as it was, interrupts off or not', async () => {
    expect(await verdictOf(rewritten('same', Vm.write), {}, undefined, {}, ['hole'])).toMatch(/^violation torn read: .* put 0x0:0x/)
    expect(await verdictOf(rewritten('other', Vm.read), {}, undefined, {}, ['hole'])).toBe('proved')
  })
})

it('maps of tables that are always mapped may be undone in any order', async () => {
  const look = (arch: string) =>
    verdictOf({ ...highpteUnmapOrder, archs: [arch] }, {}, 'earlier-map-first', { mode: 'bounded', preemptions: 0 })
  expect(await look('x86-pae')).toMatch(/^violation unbalanced: .* before the later one/)
  expect(await look('x86_64')).toBe('bounded')
})

it('its drafts can be asked for, and are checked only where a scenario names them', async () => {
  expect(AXES.archs.filter((arch) => arch.startsWith('x86-pae'))).toHaveLength(3)
  expect(await verdictOf(paeSameLowHalf, { arch: 'x86-pae-irqs-on' })).toMatch(/^violation torn read/)
})
