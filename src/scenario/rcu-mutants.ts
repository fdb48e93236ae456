// The classical mistakes of an RCU by quiescent states, for the scenarios of RCU. Not a scenario itself.
import type { Variant } from './scenario.ts'

/** What the checker says of a reader whose object was freed: what it saw, or who touched what. */
export const FREED_UNDER_READER = /freed|poison|reused|race|not ordered/

/** Mistakes in `sync/rcu.ts` and in the way into the kernel that a reader beside one updater shows. */
export const rcuMutants: readonly Variant[] = [
  {
    name: 'one-cpu-forgotten',
    wrong: 'a grace period does not look at CPU 0',
    edits: [{ file: 'sync/rcu.ts', from: 'for (let i = 0; i < cpus; i++)', to: 'for (let i = 1; i < cpus; i++)' }],
    unsafe: FREED_UNDER_READER,
  },
  {
    name: 'kernel-is-quiescent',
    wrong: 'a CPU in the kernel is taken to be quiescent',
    edits: [{ file: 'sync/rcu.ts', from: 'contextMode(context) === Mode.kernel', to: 'contextMode(context) === Mode.user' }],
    unsafe: FREED_UNDER_READER,
  },
  {
    name: 'old-snapshots',
    wrong: 'a new grace period believes the snapshots of the last one',
    edits: [{ file: 'sync/rcu.ts', from: '(seq & 1) === 0 || load(snapshots + i) === reader', to: 'load(snapshots + i) === reader' }],
    unsafe: FREED_UNDER_READER,
  },
  {
    name: 'snap-of-the-past',
    wrong: 'the grace period that is waited for may have ended before the object was unpublished',
    edits: [{ file: 'sync/rcu.ts', from: '+ 3) & ~1', to: '+ 1) & ~1' }],
    unsafe: FREED_UNDER_READER,
  },
  {
    name: 'entry-not-published',
    wrong: 'a CPU that enters the kernel does not say so',
    edits: [{ file: 'syscall/entry.ts', from: '  setContext(Mode.kernel)\n', to: '' }],
    unsafe: /freed|poison|reused|race|not ordered|unbalanced/,
  },
]
