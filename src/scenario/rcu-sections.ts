// What is a reader for RCU: a section in a section, a region with interrupts off, or whatever runs in the kernel? A kernel that is not
// preemptible waits for all of it, and code that relies on that goes wrong where readers are counted. Regions with interrupts off are
// readers in both flavours, as since Linux 4.20; before, a preemptible kernel had call_rcu_sched for them.
import { FREED_UNDER_READER } from './rcu-mutants.ts'
import type { Call } from './runner/calls.ts'
import { type Scenario, scenario, type Variant } from './scenario.ts'

type Program = typeof import('./programs/rcu.ts')
type Stepped = { readonly [K in 'readNested' | 'readIrqOff' | 'readBare']: (...args: number[]) => unknown }

const PREEMPTIBLE = { rcu: 'preemptible' }

/** CPU 0 reads, twice, in the way of `reader`, what CPU 1 replaces, waits for, and frees. */
function readerVsUpdater(
  name: string,
  question: string,
  reader: readonly [text: string, begin: (program: Stepped, pointer: number) => unknown],
  rest: Pick<Scenario, 'expect'> & { readonly variants?: readonly Variant[] },
): Scenario {
  return scenario({
    name,
    question,
    asked: 'thread 000, Freeing page tables through RCU; the consolidated RCU flavours of Linux 4.20',
    cpus: 2,
    archs: ['x86_64'],
    designs: ['mmap-lock'],
    rcus: ['quiescent', 'preemptible'],
    setUp: async (stage) => {
      const program = await stage.program<Program>('rcu')
      const { dispose, make, update } = program
      const pointer = stage.words(1)
      stage.machine.words[pointer] = stage.now(
        1,
        stage.call('make', () => make(1)),
      )
      const [text, begin] = reader
      const read: Call = stage.call(text, () => begin(program as unknown as Stepped, pointer))
      return {
        labels: new Map([[pointer, 'pointer']]),
        after: [stage.call('dispose', () => dispose(pointer))],
        calls: [[read, read], [stage.call('replace, synchronize_rcu(), free', () => update(pointer, 2))]],
        check: ([values]) => (values?.every((value) => value === 1 || value === 2) ? '' : 'a reader saw a freed object'),
      }
    },
    ...rest,
  })
}

/** A mistake of the flavour that counts. */
function mutant(name: string, wrong: string, from: string, to: string): Variant {
  return { name, wrong, edits: [{ file: 'sync/rcu.ts', from, to }], unsafe: FREED_UNDER_READER, on: PREEMPTIBLE }
}

/** The second look is behind the end of the inner section. */
export const rcuNestedReader = readerVsUpdater(
  'rcu-nested-reader-vs-updater',
  'Does a grace period wait for a section after one inside it has ended?',
  ['read in a section in a section', ({ readNested }, pointer) => readNested(pointer)],
  {
    expect: 'safe',
    variants: [
      mutant(
        'inner-end-is-end',
        'the end of a section in a section ends both',
        '(readers & NESTING) === 1 &&',
        '(readers & NESTING) !== 0 &&',
      ),
      mutant(
        'nested-readers-forgotten',
        'a grace period does not wait for a reader in a section in a section',
        '(readers & NESTING) !== 0 ||',
        '(readers & NESTING) === 1 ||',
      ),
      mutant(
        'old-snapshots',
        'a new grace period believes the snapshots of the last one',
        '(seq & 1) === 0 || load(snapshots + i) === reader',
        'load(snapshots + i) === reader',
      ),
    ],
  },
)

/** Interrupts are off, and no section is entered. */
export const rcuIrqOffReader = readerVsUpdater(
  'rcu-irq-off-reader-vs-updater',
  'Does a grace period wait for a region with interrupts off?',
  ['read with interrupts off', ({ readIrqOff }, pointer) => readIrqOff(pointer, 0)],
  {
    expect: 'safe',
    variants: [
      mutant(
        'interrupts-off-is-no-section',
        'a grace period waits for sections alone, as that of a preemptible kernel before 4.20',
        ' || readOnce(cpu + Cpu.irqOff) !== 0',
        '',
      ),
    ],
  },
)

/** With a section in the region, whose end does not end the region. */
export const rcuSectionWithIrqOff = readerVsUpdater(
  'rcu-section-with-irq-off-vs-updater',
  'Does a grace period wait for a region with interrupts off after a section in it has ended?',
  ['read with interrupts off, and a section', ({ readIrqOff }, pointer) => readIrqOff(pointer, 1)],
  {
    expect: 'safe',
    variants: [
      mutant(
        'inner-section-is-all',
        'the end of a section ends the region with interrupts off that it lies in',
        ' && load(cpu + Cpu.irqOff) === 0',
        '',
      ),
    ],
  },
)

/** Nothing is held: the reader is in the kernel, and that is all. */
export const rcuBareReader = readerVsUpdater(
  'rcu-bare-reader-vs-updater',
  'May a reader do without rcu_read_lock because the kernel is not preempted?',
  ['read, holding nothing', ({ readBare }, pointer) => readBare(pointer)],
  { expect: ({ rcu }) => (rcu === 'quiescent' ? 'safe' : { unsafe: FREED_UNDER_READER }) },
)
