// May a reader of /proc show a hole where a page was mapped before and after? mprotect clears each entry for a moment, because
// the hardware could set the dirty bit in the one that it rewrites; whoever reads without the table's lock can come in between.
import { SmapsWalk } from '../kernel/proc/smaps.ts'
import { Vm } from '../kernel/vma/vma.ts'
import { type Scenario, scenario } from './scenario.ts'

function smapsBesideMprotect(name: string, how: number, holds: string, expect: Scenario['expect']): Scenario {
  return scenario({
    name,
    question: `May smaps, holding ${holds}, show a hole while mprotect rewrites the entries?`,
    asked:
      'thread 000, page-table walks without mmap_lock, 25 February 2021; thread 001: whoever maps a table must bear with entries that change',
    cpus: 2,
    setUp: (stage) => {
      const mm = stage.newMm()
      const page = stage.table(4)
      stage.now(0, mm.mmap(page, 2))
      for (const at of [page, page + 1]) stage.now(1, mm.write(at, 1))
      return { calls: [[mm.smaps(page, 2, how)], [mm.mprotect(page, 2, Vm.read)]] }
    },
    expect,
  })
}

/** Under mmap_lock and the table's lock, as Linux does it. */
export const smapsUnderMmapLockShowsNoHole = smapsBesideMprotect(
  'smaps-under-mmap-lock-vs-mprotect',
  SmapsWalk.mmapLock,
  'mmap_lock',
  'safe',
)

/** Under RCU alone the memory is safe, but what is shown is not: the price of a walk without locks. */
export const smapsUnderRcuShowsHoles = smapsBesideMprotect('smaps-under-rcu-vs-mprotect', SmapsWalk.rcu, 'the RCU read lock', {
  unsafe: /shows nothing/,
})
