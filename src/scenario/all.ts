// The scenarios that ship, in the order in which a reader meets them, and those of a file of the user's.

import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import * as allocatorLists from './allocator-lists.ts'
import * as anonVmaOfAFamily from './anon-vma-of-a-family.ts'
import { copyOnWriteBothSides } from './copy-on-write-both-sides.ts'
import * as copyOnWriteTwice from './copy-on-write-twice.ts'
import * as copyOnWriteVsLettingGo from './copy-on-write-vs-letting-go.ts'
import { copyOnWriteVsMunmap } from './copy-on-write-vs-munmap.ts'
import * as copyOnWriteVsOtherChanges from './copy-on-write-vs-other-changes.ts'
import * as copyOnWriteVsReader from './copy-on-write-vs-reader.ts'
import * as deferredByBitmap from './deferred-by-bitmap.ts'
import * as devicePages from './device-pages-vs-munmap.ts'
import * as dirtyPageOfAFile from './dirty-page-of-a-file.ts'
import * as diskWaitVsMunmap from './disk-wait-vs-munmap.ts'
import * as dontneedVsDontneed from './dontneed-vs-dontneed.ts'
import { dontneedVsFault } from './dontneed-vs-fault.ts'
import * as dontneedVsMunmap from './dontneed-vs-munmap.ts'
import { exitVsDeferredFragment } from './exit-vs-deferred-fragment.ts'
import { exitVsReaper } from './exit-vs-reaper.ts'
import * as faultBesideWriter from './fault-beside-writer.ts'
import { faultVsFault, firstFaultsBelowTwoPmds } from './fault-vs-fault.ts'
import { faultVsFork } from './fault-vs-fork.ts'
import * as faultVsMbind from './fault-vs-mbind.ts'
import * as faultVsMoveOfTable from './fault-vs-move-of-table.ts'
import * as faultVsMovedBoundary from './fault-vs-moved-boundary.ts'
import { faultVsMprotect } from './fault-vs-mprotect.ts'
import { faultVsMunmap } from './fault-vs-munmap.ts'
import { faultVsMunmapOfNeighbour } from './fault-vs-munmap-of-neighbour.ts'
import { faultVsMunmapOfTheLastPages } from './fault-vs-munmap-of-the-last-pages.ts'
import * as faultVsReuseByOtherMm from './fault-vs-reuse-by-other-mm.ts'
import * as faultVsSplitOff from './fault-vs-split-off.ts'
import * as fifthLevel from './fifth-level.ts'
import * as fileFaultVsExit from './file-fault-vs-exit.ts'
import * as fileFaultVsFileFault from './file-fault-vs-file-fault.ts'
import * as fileFaultVsMunmap from './file-fault-vs-munmap.ts'
import { fileOfAFamily } from './file-of-a-family.ts'
import * as firstFaultVsMunmap from './first-fault-vs-munmap.ts'
import * as forkVsMunmap from './fork-vs-munmap.ts'
import { forkVsStaleTlb } from './fork-vs-stale-tlb.ts'
import * as gatherWithoutBatch from './gather-without-batch.ts'
import { highpteUnmapOrder } from './highpte-unmap-order.ts'
import * as identities from './identities.ts'
import * as ipi from './ipi-in-every-path.ts'
import { kernelMapping } from './kernel-mapping.ts'
import * as lastFragment from './last-fragment.ts'
import * as madviseFree from './madvise-free.ts'
import * as mapleGaps from './maple-gaps.ts'
import * as mapleLookupVsStore from './maple-lookup-vs-store.ts'
import * as memoryRunsOut from './memory-runs-out.ts'
import { mergeVsLookup } from './merge-vs-lookup.ts'
import * as mmapOverVsFault from './mmap-over-vs-fault.ts'
import * as moveAndGrow from './move-and-grow.ts'
import * as mremapVsFault from './mremap-vs-fault.ts'
import { mremapVsTruncate } from './mremap-vs-truncate.ts'
import { munmapVsMunmap } from './munmap-vs-munmap.ts'
import { outsideCpuVsGracePeriod } from './outside-cpu-vs-grace-period.ts'
import { outsideCpuVsShootDown } from './outside-cpu-vs-shoot-down.ts'
import * as paeInstall from './pae-install.ts'
import { paeIrqsOffUntilUnmap } from './pae-irqs-off-until-unmap.ts'
import * as paePmdBesideReuse from './pae-pmd-beside-reuse.ts'
import * as paePteBesideRefault from './pae-pte-beside-refault.ts'
import * as pinAndCopyOnWrite from './pin-and-copy-on-write.ts'
import * as pinVsFork from './pin-vs-fork.ts'
import * as pinVsLettingGo from './pin-vs-letting-go.ts'
import * as placement from './placement.ts'
import * as populate from './populate.ts'
import * as privateFileWrite from './private-file-write.ts'
import * as rbtreeFaults from './rbtree-faults.ts'
import * as rbtreeLookupVsRotation from './rbtree-lookup-vs-rotation.ts'
import * as rcuCallbacks from './rcu-callbacks.ts'
import * as rcuFaultOnFile from './rcu-fault-on-file.ts'
import * as rcuFaultVsBounds from './rcu-fault-vs-bounds.ts'
import * as rcuFaultVsMprotect from './rcu-fault-vs-mprotect.ts'
import { rcuFaultVsMunmap } from './rcu-fault-vs-munmap.ts'
import * as rcuFaultVsReuse from './rcu-fault-vs-reuse.ts'
import * as rcuFaultWithoutMemory from './rcu-fault-without-memory.ts'
import * as rcuReaderVsUpdater from './rcu-reader-vs-updater.ts'
import * as rcuSections from './rcu-sections.ts'
import * as refcacheReview from './refcache-review.ts'
import * as refcountGetVsPut from './refcount-get-vs-put.ts'
import { ScenarioError } from './runner/errors.ts'
import * as rwsemDowngrade from './rwsem-downgrade.ts'
import * as rwsemHandOver from './rwsem-hand-over.ts'
import * as rwsemReaderVsWriter from './rwsem-reader-vs-writer.ts'
import * as rwsemWriterVsWriter from './rwsem-writer-vs-writer.ts'
import * as s390Halves from './s390-halves.ts'
import * as s390UnusedHalves from './s390-unused-halves.ts'
import * as sameBucket from './same-bucket.ts'
import { type Scenario, scenario } from './scenario.ts'
import * as seqcountReaderVsWriter from './seqcount-reader-vs-writer.ts'
import * as sharedMemoryOfAFamily from './shared-memory-of-a-family.ts'
import * as sharedWriteFault from './shared-write-fault.ts'
import * as sleeperVsGracePeriod from './sleeper-vs-grace-period.ts'
import * as smapsAndPreemption from './smaps-and-preemption.ts'
import * as smapsOfAnotherMm from './smaps-of-another-mm.ts'
import { smapsUnderMmapLockShowsNoHole, smapsUnderRcuShowsHoles } from './smaps-shows-no-hole.ts'
import { smapsIrqOff, smapsUnderMmapLock, smapsUnderRcu } from './smaps-vs-munmap.ts'
import { speculativeFaultOnFile } from './speculative-fault-on-file.ts'
import { speculativeFaultVsFault } from './speculative-fault-vs-fault.ts'
import { speculativeFaultVsFlush } from './speculative-fault-vs-flush.ts'
import { speculativeFaultVsFork } from './speculative-fault-vs-fork.ts'
import { speculativeFaultVsMprotect } from './speculative-fault-vs-mprotect.ts'
import { speculativeFaultVsMunmap } from './speculative-fault-vs-munmap.ts'
import { speculativeFaultVsRemap } from './speculative-fault-vs-remap.ts'
import { speculativeFaultVsSecondWriter } from './speculative-fault-vs-second-writer.ts'
import { speculativeFaultVsTableReclaim } from './speculative-fault-vs-table-reclaim.ts'
import * as spinlockExclusion from './spinlock-exclusion.ts'
import * as spinlockVsInterrupt from './spinlock-vs-interrupt.ts'
import { splitUndoneVsFault } from './split-undone-vs-fault.ts'
import { splitVsLookup } from './split-vs-lookup.ts'
import * as srcuCallbacks from './srcu-callbacks.ts'
import * as srcuFaultVsChanges from './srcu-fault-vs-changes.ts'
import { srcuFaultBelowTablesVsMunmap, srcuFaultVsMunmap, srcuFirstFaultVsMunmap } from './srcu-fault-vs-munmap.ts'
import * as srcuReaderVsUpdater from './srcu-reader-vs-updater.ts'
import { srcuSleepingFaultVsMunmap } from './srcu-sleeping-fault-vs-munmap.ts'
import * as srcuWaits from './srcu-waits.ts'
import * as stackExpansion from './stack-expansion.ts'
import * as switchMmVsMunmap from './switch-mm-vs-munmap.ts'
import { tableLockWithInterruptsOff } from './table-lock-with-interrupts-off.ts'
import * as tableReclaim from './table-reclaim-vs-fault.ts'
import * as tablesByThePage from './tables-by-the-page.ts'
import * as tablesThatShareALock from './tables-that-share-a-lock.ts'
import * as twoDeferredFragments from './two-deferred-fragments.ts'
import * as unmapOfSharedPage from './unmap-of-shared-page.ts'
import { userAccessVsMunmap } from './user-access-vs-munmap.ts'
import * as userfault from './userfault.ts'
import * as vmaGivenUp from './vma-given-up.ts'
import * as vmaLockSeq from './vma-lock-seq.ts'
import { walkOfEmptyTables } from './walk-of-empty-tables.ts'
import * as walkVsExit from './walk-vs-exit.ts'

/** Every scenario that ships. */
export const SCENARIOS: readonly Scenario[] = Object.freeze([
  faultVsMunmap,
  faultVsMunmapOfNeighbour,
  faultVsMunmapOfTheLastPages,
  faultVsFault,
  firstFaultsBelowTwoPmds,
  faultVsMprotect,
  faultVsFork,
  copyOnWriteBothSides,
  copyOnWriteVsMunmap,
  dontneedVsFault,
  userAccessVsMunmap,
  ...Object.values(mremapVsFault),
  mremapVsTruncate,
  ...Object.values(mmapOverVsFault),
  munmapVsMunmap,
  splitVsLookup,
  splitUndoneVsFault,
  mergeVsLookup,
  smapsUnderMmapLock,
  smapsIrqOff,
  smapsUnderRcu,
  ...Object.values(smapsOfAnotherMm),
  tableLockWithInterruptsOff,
  ...Object.values(fifthLevel),
  ...Object.values(tablesThatShareALock),
  smapsUnderMmapLockShowsNoHole,
  smapsUnderRcuShowsHoles,
  ...Object.values(twoDeferredFragments),
  ...Object.values(smapsAndPreemption),
  ...Object.values(tablesByThePage),
  ...Object.values(anonVmaOfAFamily),
  ...Object.values(copyOnWriteTwice),
  ...Object.values(copyOnWriteVsLettingGo),
  ...Object.values(copyOnWriteVsReader),
  ...Object.values(dontneedVsDontneed),
  ...Object.values(tableReclaim),
  ...Object.values(copyOnWriteVsOtherChanges),
  ...Object.values(switchMmVsMunmap),
  ...Object.values(faultVsReuseByOtherMm),
  ...Object.values(faultVsSplitOff),
  ...Object.values(faultBesideWriter),
  ...Object.values(faultVsMbind),
  ...Object.values(faultVsMoveOfTable),
  ...Object.values(faultVsMovedBoundary),
  ...Object.values(firstFaultVsMunmap),
  ...Object.values(forkVsMunmap),
  forkVsStaleTlb,
  ...Object.values(vmaLockSeq),
  speculativeFaultVsMunmap,
  speculativeFaultVsMprotect,
  speculativeFaultVsRemap,
  speculativeFaultVsFault,
  speculativeFaultVsFlush,
  speculativeFaultVsFork,
  speculativeFaultVsSecondWriter,
  speculativeFaultVsTableReclaim,
  speculativeFaultOnFile,
  rcuFaultVsMunmap,
  ...Object.values(rcuFaultOnFile),
  ...Object.values(rcuFaultVsBounds),
  ...Object.values(rcuFaultVsMprotect),
  ...Object.values(rcuFaultVsReuse),
  ...Object.values(rcuFaultWithoutMemory),
  srcuFaultVsMunmap,
  srcuFirstFaultVsMunmap,
  srcuFaultBelowTablesVsMunmap,
  srcuSleepingFaultVsMunmap,
  ...Object.values(srcuFaultVsChanges),
  ...Object.values(srcuWaits),
  ...Object.values(paePteBesideRefault),
  paeIrqsOffUntilUnmap,
  kernelMapping,
  highpteUnmapOrder,
  ...Object.values(placement),
  ...Object.values(paeInstall),
  ...Object.values(paePmdBesideReuse),
  ...Object.values(unmapOfSharedPage),
  ...Object.values(fileFaultVsFileFault),
  ...Object.values(fileFaultVsMunmap),
  ...Object.values(fileFaultVsExit),
  exitVsDeferredFragment,
  exitVsReaper,
  ...Object.values(walkVsExit),
  ...Object.values(identities),
  ...Object.values(diskWaitVsMunmap),
  ...Object.values(sharedMemoryOfAFamily),
  fileOfAFamily,
  ...Object.values(privateFileWrite),
  ...Object.values(dirtyPageOfAFile),
  ...Object.values(devicePages),
  ...Object.values(sharedWriteFault),
  ...Object.values(pinVsFork),
  ...Object.values(pinAndCopyOnWrite),
  ...Object.values(pinVsLettingGo),
  ...Object.values(userfault),
  ...Object.values(madviseFree),
  ...Object.values(populate),
  ...Object.values(srcuCallbacks),
  ...Object.values(allocatorLists),
  ...Object.values(memoryRunsOut),
  ...Object.values(vmaGivenUp),
  ...Object.values(gatherWithoutBatch),
  ...Object.values(moveAndGrow),
  ...Object.values(lastFragment),
  ...Object.values(deferredByBitmap),
  ...Object.values(s390Halves),
  ...Object.values(s390UnusedHalves),
  ...Object.values(sameBucket),
  ...Object.values(dontneedVsMunmap),
  walkOfEmptyTables,
  outsideCpuVsShootDown,
  outsideCpuVsGracePeriod,
  ...Object.values(ipi),
  ...Object.values(rwsemReaderVsWriter),
  ...Object.values(rwsemWriterVsWriter),
  ...Object.values(rwsemHandOver),
  ...Object.values(rwsemDowngrade),
  ...Object.values(spinlockExclusion),
  ...Object.values(spinlockVsInterrupt),
  ...Object.values(seqcountReaderVsWriter),
  ...Object.values(refcountGetVsPut),
  ...Object.values(refcacheReview),
  ...Object.values(rcuReaderVsUpdater),
  ...Object.values(rcuSections),
  ...Object.values(rcuCallbacks),
  ...Object.values(srcuReaderVsUpdater),
  ...Object.values(sleeperVsGracePeriod),
  ...Object.values(mapleLookupVsStore),
  ...Object.values(mapleGaps),
  ...Object.values(rbtreeLookupVsRotation),
  ...Object.values(rbtreeFaults),
  ...Object.values(stackExpansion),
])

/** The scenarios that the file at `path` exports. Throws `ScenarioError` where there is none. */
export async function scenariosIn(path: string): Promise<readonly Scenario[]> {
  let module: Record<string, unknown>
  try {
    module = (await import(pathToFileURL(resolve(path)).href)) as Record<string, unknown>
  } catch (error) {
    if (error instanceof ScenarioError) throw new ScenarioError(`${path}: ${error.message}`, { cause: error })
    const old = error instanceof Error && 'code' in error && error.code === 'ERR_UNKNOWN_FILE_EXTENSION' && /\.[cm]?ts$/.test(path)
    const why = old
      ? `Node ${process.versions.node} does not read TypeScript; version 22.18 does`
      : error instanceof Error
        ? error.message
        : error
    throw new ScenarioError(`cannot import ${path}: ${why}`, { cause: error })
  }
  const found = Object.values(module)
    .flatMap((value) => (Array.isArray(value) ? value : [value]))
    .filter(isScenario)
  if (found.length === 0) throw new ScenarioError(`${path} exports no scenario: export what scenario({…}) returns`)
  const all = [...new Set(found)].map(scenario)
  const twice = all.find(({ name }, i) => all.findIndex((one) => one.name === name) !== i)
  if (twice !== undefined) throw new ScenarioError(`${path} exports two scenarios called ${twice.name}`)
  return all
}

function isScenario(value: unknown): value is Scenario {
  return typeof value === 'object' && value !== null && 'name' in value && 'setUp' in value && 'expect' in value
}
