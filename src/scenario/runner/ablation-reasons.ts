// Why no scenario misses a site: what is known of those that ablation found to survive. What stands here is read by people only;
// no verdict depends on it.
import type { AblationSite } from '../../check/ablate/index.ts'

interface Reason {
  readonly file: RegExp
  readonly function: RegExp
  readonly operator?: RegExp
  /** What the site's source begins with or has in it. */
  readonly text?: RegExp
  readonly why: string
}

const NOBODY_ELSE =
  'nobody else comes here: mmap_lock is held for writing and the VMA is locked; only walks from the reverse map would, which are not built'

const REASONS: readonly Reason[] = [
  {
    file: /^vma\/maple-/,
    function: /^(mtLoad|masWalk|scanBackward)$/,
    operator: /recheck/,
    why: 'nodes do not change once they are published and are freed through RCU: a single look-up in an old node is as good as one that came earlier',
  },
  {
    file: /^design\/vma-lock\.ts$/,
    function: /^vmaStartRead$/,
    text: /^readOnce\(vma \+ Vma\.lockSeq\)/,
    why: 'it saves the count: what it lets through is refused by the second look at the number, under the count',
  },
  {
    file: /^design\/vma-lock\.ts$/,
    function: /^vmaStartRead$/,
    text: /^seen >= VMA_LOCK_OFFSET/,
    why: 'a reader that comes although a writer waits is sent away by the look at the number: the writer only waits longer',
  },
  {
    file: /^design\/speculative\.ts$/,
    function: /^findAndCopyVma$/,
    operator: /recheck/,
    why: 'it saves work: what follows is checked against the same count again before anything is installed, and no signal is raised from a copy',
  },
  {
    file: /^design\/speculative\.ts$/,
    function: /^walkBegin$/,
    operator: /rcu/,
    why: 'no step of the walk passes a quiescent state: in a kernel that is not preemptible all of a fault that does not sleep is a reader',
  },
  {
    file: /^fault\/alloc-page\.ts$/,
    function: /^allocPageDroppingRcu$/,
    operator: /wait/,
    why: 'a fault that finds no memory in its section is done under a lock, and the access waits for memory before it faults again',
  },
  {
    file: /^design\/vma-lock\.ts$/,
    function: /^mmapWrite(Locked|Unlocking)$/,
    operator: /exclusion/,
    why: "a VMA is locked while its number is the mm's: it is enough that the number changes once from one writer to the next; until then faults go to mmap_lock",
  },
  {
    file: /^design\/vma-lock\.ts$/,
    function: /^vmaInit$/,
    why: 'an old number that happens to be that of the mm only makes the VMA look locked until the writer who attaches it is done',
  },
  {
    file: /^design\/vma-lock\.ts$/,
    function: /^vmaRefcountPut$/,
    operator: /atomicity/,
    text: /writerWait/,
    why: 'the count of readers has gone down before: a writer who reads this word in between sees that it need not wait',
  },
  {
    file: /^design\/vma-lock\.ts$/,
    function: /^vma(StartWrite|Detach)$/,
    operator: /atomicity|publish/,
    text: /-VMA_LOCK_OFFSET/,
    why: 'readers leave a count with the bit of a writer alone, and vmaAttach stores a new one',
  },
  {
    file: /^pagetable\/entries\.ts$/,
    function: /^ptepGetAndClear$/,
    operator: /atomicity/,
    text: /ptep \+ 1/,
    why: 'nobody else stores to the high half: the lock is held, and for the hardware the entry is gone',
  },
  {
    file: /^pagetable\/entries\.ts$/,
    function: /^clearHigh$/,
    why: 'none is what has no low half, and whoever installs an entry stores the high half first',
  },
  {
    file: /^pagetable\/(pte-free-defer|table-alloc)\.ts$/,
    function: /^(pteFreeDefer|freeTablePage)$/,
    operator: /atomicity/,
    text: /PageFlag\.active/,
    why: 'of a page of tables only this bit changes: others set it as well, and it is taken off after the last of them',
  },
  {
    file: /^fault\/copy-on-write\.ts$/,
    function: /^ptepSetAccess$/,
    why: 'it sets one bit by compare-and-exchange: whatever has changed meanwhile makes that fail, and the access is repeated',
  },
  {
    file: /^fault\/copy-on-write\.ts$/,
    function: /^doWpPage$/,
    operator: /recheck/,
    text: /ptePresent\(now\)|ptePfn\(now\)|Pte\.write\) !== 0$/,
    why: 'the page is taken from the entry as read under the lock, and a copy is put in only after another look: the first reading only led here',
  },
  {
    file: /^fault\/copy-on-write\.ts$/,
    function: /^doWpPage$/,
    text: /anonExclusive/,
    why: 'the mark spares later writes the look at the count of references; without it they look',
  },
  {
    file: /^fault\/copy-on-write\.ts$/,
    function: /^doWpPage$/,
    text: /^ptepTryReplace/,
    why: 'an exchange that fails leaves the entry read-only: the access faults again',
  },
  {
    file: /^fault\/copy-on-write\.ts$/,
    function: /^wpPageCopy$/,
    operator: /recheck/,
    text: /^ptePresent\(now\)$/,
    why: 'an entry that is none has another frame number than the one that was copied, but for the zero page, of which a copy may come in any time',
  },
  {
    file: /^fault\/copy-on-write\.ts$/,
    function: /^wpPageCopy$/,
    operator: /recheck/,
    text: /^\(now & Pte\.write\) !== 0$/,
    why: 'who copies holds a reference to the page, and a page with a reference more is not taken over for writing',
  },
  {
    file: /^pagetable\/(change-protection|copy-page-range|move-page-tables)\.ts$/,
    function: /^(changePteRange|copyPteRange|movePtes)$/,
    operator: /lock|recheck/,
    text: /pteOffsetMapLock|spinLock|^(ptep|source|oldPte|newPte) === 0$|^target !== 0$|newPtl !== oldPtl/,
    why: NOBODY_ELSE,
  },
  {
    file: /^memory\/mm\.ts$/,
    function: /^addTableWords$/,
    why: 'the peak is for reports only',
  },
  {
    file: /^memory\/page-alloc\.ts$/,
    function: /./,
    operator: /irq/,
    why: 'no interrupt handler allocates or frees pages, and an IPI that waits is answered after the lock is released',
  },
  {
    file: /^pagetable\/tlb\.ts$/,
    function: /^hardwareWalk$/,
    text: /^want !== pte$/,
    why: 'it saves a write that changes nothing',
  },
  {
    file: /^pagetable\/tlb\.ts$/,
    function: /^interrupt$/,
    why: 'a CPU that returns to user mode looks for itself whether its TLB is out of date; in the kernel it does not use it',
  },
  {
    file: /^pagetable\/tlb-flush\.ts$/,
    function: /^switchMm$/,
    text: /^atomicAnd\(old/,
    why: 'a CPU that stays on the list is shot down in vain',
  },
  {
    file: /^pagetable\/tlb-flush\.ts$/,
    function: /^shootDown$/,
    operator: /irq/,
    why: 'a deadlock needs two CPUs that shoot each other down and two more that interrupt them meanwhile: four, where scenarios have three',
  },
  {
    file: /^pagetable\/zap\.ts$/,
    function: /^zapPte$/,
    text: /^pteNone\(pte\)/,
    why: 'nobody else clears entries under the lock, so that what was not none is not none',
  },
  {
    file: /^sync\/rcu\.ts$/,
    function: /^synchronizeRcu$/,
    operator: /publish|recheck/,
    why: 'who drives a grace period counts itself as quiescent: saying so by the mode of the CPU as well spares other drivers a round',
  },
  {
    file: /^softirq\.ts$/,
    function: /^rcuBarrier$/,
    operator: /publish/,
    why: 'who drives a grace period counts itself as quiescent: saying so by the mode of the CPU as well spares other drivers a round',
  },
  {
    file: /^sync\/srcu\.ts$/,
    function: /^srcuRead(Lock|Unlock)$/,
    operator: /atomicity/,
    why: "the counter is this CPU's own, and no interrupt handler reads under SRCU",
  },
  {
    file: /^syscall\/exit\.ts$/,
    function: /^exitMmap$/,
    why: 'the last user of the address space has gone: nobody faults in it or changes it any more',
  },
  {
    file: /^syscall\/fork\.ts$/,
    function: /^dupVma$/,
    text: /vmaStartWrite\(copy\)$/,
    why: 'the child is seen by nobody before fork returns',
  },
  { file: /^sync\/lock-stat\.ts$/, function: /./, why: 'statistics, off during checks' },
  {
    file: /./,
    function: /^(spinLockSlow|lockStat\w*)$/,
    why: 'waiting for a spinlock is one step of the checker, so that the loop around it is not executed',
  },
  {
    file: /^sync\/spinlock\.ts$/,
    function: /^spinLock$/,
    operator: /wait/,
    why: 'waiting for a spinlock is one step of the checker, so that what is done while it is held is not executed',
  },
  {
    file: /^pagetable\/pte-offset-map\.ts$/,
    function: /^pmdSame$/,
    why: 'nobody calls it: it is for those who write to a table that they mapped without its lock',
  },
  {
    file: /^vma\/split\.ts$/,
    function: /^splitVma$/,
    operator: /exclusion/,
    text: /^design\.vmaStartWrite\(upper\)/,
    why: 'the upper part is complete when the tree has it, and whoever changes it further locks it first: a fault that gets it early finds what stays true',
  },
  {
    file: /^pagetable\/pte-offset-map\.ts$/,
    function: /^pteOffsetMapRoNolock$/,
    operator: /recheck/,
    why: 'without an entry it only computes the address of a lock that nobody asks for: whoever gets no entry does not look at it',
  },
  {
    file: /^pagetable\/mmu-gather\.ts$/,
    function: /^tlbFinishMmu$/,
    operator: /publish/,
    text: /^atomicAdd\(mm \+ Mm\.tlbFlushPending, -1\)/,
    why: 'a count of gathers that stays too high lets later ones flush more than they need, and nothing else asks for it',
  },
  {
    file: /^pagetable\/move-page-tables\.ts$/,
    function: /^moveTable$/,
    operator: /lock/,
    text: /pageTableLock/,
    why: 'both slots belong to VMAs that are write-locked, under mmap_lock held for writing: nobody empties them, a late fault under SRCU can at most fill the old one with an empty table, and what moves has a lock of its own',
  },
  {
    file: /^pagetable\/pte-free-defer-drafts\.ts$/,
    function: /^incrementsFreeRcu$/,
    operator: /recheck/,
    text: /^left >= 2 \* DEFERRED$/,
    why: 'it saves grace periods: deferrals that are not added up are freed one after the other, each after a period of its own',
  },
  {
    file: /^pagetable\/pte-free-defer-bitmap\.ts$/,
    function: /^bitmapFreeRcu$/,
    operator: /atomicity/,
    why: 'only the bit of a third fragment could be set in between, and with a third the sketch is wrong as it stands',
  },
  {
    file: /^pagetable\/s390-fragments\.ts$/,
    function: /^halfFreeDeferOneHead$/,
    operator: /wait/,
    why: 'no scenario is safe with this draft: when the last half of a page is deferred, the page is on the list whose words lie over the rcu_head, or the other half has that queued',
  },
  {
    file: /^pagetable\/s390-fragments\.ts$/,
    function: /^halfTake$/,
    operator: /atomicity/,
    text: /^atomicAdd\(page \+ Page\.refcount/,
    why: 'the half that is allocated can only be let go of under the lock of the list, which is held, and neither half is pending then',
  },
  {
    file: /^pagetable\/s390-fragments\.ts$/,
    function: /^half(Release|FreeDefer)$/,
    operator: /atomicity/,
    text: /PageFlag\.active/,
    why: 'of a page of tables only this bit changes: others set it as well, and it is taken off after the last of them',
  },
  {
    file: /^pagetable\/s390-head-bits\.ts$/,
    function: /^release$/,
    operator: /atomicity/,
    text: /^atomicAdd\(page \+ Page\.refcount, -pending\)$/,
    why: 'the lock is held, and the only others who change the count come after a grace period of the other half, which this section holds up',
  },
  {
    file: /^pagetable\/s390-head-bits\.ts$/,
    function: /^freeUnused$/,
    operator: /atomicity/,
    why: 'the lock is held; the only change without it is that the other half lets go of the rcu_head, and then the page is about to be freed',
  },
  {
    file: /^design\/vma-lock-seq\.ts$/,
    function: /^vmaStartRead$/,
    operator: /recheck/,
    text: /^readOnce\(vma \+ Vma\.lockSeq\)/,
    why: 'it saves the semaphore: what it lets through is refused by the second look at the number, under the semaphore',
  },
  {
    file: /^design\/srcu\.ts$/,
    function: /^mmapWriteLocked$/,
    operator: /exclusion/,
    why: 'it is enough that the number changes once from one writer to the next: what has the number of now or later is refused, written or not',
  },
  {
    file: /^design\/srcu-prototype\.ts$/,
    function: /./,
    why: 'an unsafe draft: scenarios execute it to show that it fails, and none is safe with it',
  },
  {
    file: /^memory\/page-cache\.ts$/,
    function: /^readPage$/,
    operator: /publish/,
    text: /^setContext\(Mode\.outside\)$/,
    why: 'whoever waits for this CPU, for a grace period, then waits for the disk too, which needs nobody: it takes longer, and the checker knows no time',
  },
  {
    file: /^syscall\/madvise\.ts$/,
    function: /^freePte$/,
    operator: /atomicity/,
    text: /PageFlag\.lazyfree/,
    why: 'others who change flags of an anonymous page hold the lock of this table, or share the page: they set this bit too, or clear one that sharing has cleared',
  },
]

/** Why `site` is missed by no scenario, or ''. */
export function reasonFor(site: Pick<AblationSite, 'file' | 'function' | 'operator' | 'text'>): string {
  const found = REASONS.find(
    ({ file, function: name, operator, text }) =>
      file.test(site.file) && name.test(site.function) && (operator?.test(site.operator) ?? true) && (text?.test(site.text) ?? true),
  )
  return found?.why ?? ''
}
