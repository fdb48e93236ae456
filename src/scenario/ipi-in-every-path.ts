// An IPI may arrive inside every kernel path: in faults, in system calls, between taking a lock and releasing it.
import { Remap } from '../kernel/syscall/mremap.ts'
import { Vm } from '../kernel/vma/vma.ts'
import type { Call, Calls } from './runner/calls.ts'
import { type Scenario, scenario } from './scenario.ts'

/** One scenario for each path: CPU 0 goes along it while CPU 1 shoots down a page that CPU 0 has in its TLB. */
function ipiIn(path: string, call: (mm: Calls, page: number) => Call): Scenario {
  return scenario({
    name: `ipi-in-${path}`,
    question: `May a shoot-down arrive at any moment of ${path}?`,
    asked: 'field: IPIs are answered wherever interrupts are on; whoever waits for one must hold nothing that its target spins on',
    cpus: 2,
    usually: { designs: ['vma-lock'] },
    setUp: (stage) => {
      const mm = stage.newMm()
      const page = stage.table(4)
      const other = stage.table(6)
      stage.now(0, mm.mmap(page, 1))
      stage.now(0, mm.mmap(other, 3))
      for (const cpu of [0, 1]) {
        stage.now(cpu, mm.write(page, 1))
        stage.now(cpu, mm.write(other, 1))
      }
      return { calls: [[call(mm, other)], [mm.dontneed(page, 1)]] }
    },
    expect: 'safe',
  })
}

export const ipiInFault = ipiIn('fault', (mm, page) => mm.write(page + 1, 2))
export const ipiInMunmap = ipiIn('munmap', (mm, page) => mm.munmap(page, 2))
export const ipiInMmap = ipiIn('mmap', (mm, page) => mm.mmap(page + 3, 1))
export const ipiInMprotect = ipiIn('mprotect', (mm, page) => mm.mprotect(page, 2, Vm.read))
export const ipiInMremap = ipiIn('mremap', (mm, page) => mm.mremap(page, 1, 1, Remap.mayMove | Remap.fixed, page + 8))
export const ipiInFork = ipiIn('fork', (mm) => mm.fork())
export const ipiInDontneed = ipiIn('dontneed', (mm, page) => mm.dontneed(page, 1))
