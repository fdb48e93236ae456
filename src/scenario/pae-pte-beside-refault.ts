// When is a PTE of two halves read whole without its lock? Where one page can follow another there only after a TLB flush that
// waits for the reader: with interrupts off, on a CPU that runs the address space. Whoever else needs it whole takes the lock.
import { SmapsWalk } from '../kernel/proc/smaps.ts'
import type { Calls } from './runner/calls.ts'
import { type Scenario, scenario } from './scenario.ts'

interface Reading {
  readonly name: string
  readonly question: string
  readonly how: number
  /** CPUs that run the address space. CPU 0 reads. */
  readonly on: readonly number[]
  /** What CPU 1 does to the page. */
  readonly change: (mm: Calls, page: number) => ReturnType<Calls['read']>[]
  readonly expect: Scenario['expect']
}

const TORN = { unsafe: /torn read/ } as const

function readBeside({ name, question, how, on, change, expect }: Reading): Scenario {
  return scenario({
    name,
    question,
    asked: 'thread 001, 11 May 2023: "a random page mishmashed" from two halves; field: ptep_get_lockless on PAE',
    cpus: 2,
    archs: ['x86-pae'],
    designs: ['vma-lock'],
    setUp: (stage) => {
      const mm = stage.newMm(on)
      const page = stage.table(4) + 1
      stage.now(1, mm.mmap(page, 1))
      stage.now(1, mm.write(page, 1))
      return { calls: [[mm.smaps(page, 1, how)], change(mm, page)] }
    },
    expect,
  })
}

const refault: Reading['change'] = (mm, page) => [mm.dontneed(page, 1), mm.write(page, 2)]

/** The IPI of the flush is answered in the middle of the read. */
export const paePteInterruptsOn = readBeside({
  name: 'pae-pte-interrupts-on',
  question: 'Is a PTE of two halves read whole with interrupts on, while its page is replaced?',
  how: SmapsWalk.rcu,
  on: [0, 1],
  change: refault,
  expect: TORN,
})

/** The flush waits until the reader is done. */
export const paePteInterruptsOff = readBeside({
  name: 'pae-pte-interrupts-off',
  question: 'Is a PTE of two halves read whole with interrupts off, while its page is replaced?',
  how: SmapsWalk.irqOff,
  on: [0, 1],
  change: refault,
  expect: 'safe',
})

/** Nothing is flushed on a CPU that does not run the address space. */
export const paePteOfAnotherTask = readBeside({
  name: 'pae-pte-of-another-task',
  question: 'Is a PTE of two halves of another address space read whole with interrupts off?',
  how: SmapsWalk.irqOff,
  on: [1],
  change: refault,
  expect: TORN,
})

/** The table's lock keeps everybody out but the hardware, which changes the low half alone. */
export const paePteUnderLock = readBeside({
  name: 'pae-pte-under-lock',
  question: 'Is a PTE of two halves read whole under its lock, while its page is replaced?',
  how: SmapsWalk.mmapLock,
  on: [1],
  change: refault,
  expect: 'safe',
})
