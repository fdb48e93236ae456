// Per-CPU data: one area per CPU, every field of every room declared here (as a kernel's link map would show it).
// The first two lines of 16 words are written by other CPUs; everything behind them belongs to the CPU alone.
import { struct } from './struct.ts'

/** Slab caches that a machine can have. */
export const MAX_SLAB_CACHES = 14
/** Entries of the software TLB for which there is room (a power of two); a geometry may use fewer. */
export const TLB_ENTRIES = 256
/** Words of one TLB entry: tag for reads, tag for writes, first word of the frame, the pte's frame and flags. */
export const TLB_ENTRY_WORDS = 4
/** Classes of locks that statistics tell apart (see `sync/lock-stat.ts`). */
export const LOCK_CLASSES = 6
/** Runs of present pages that the smaps walker keeps. */
export const SMAPS_RANGES = 8
/** Words of a CPU's area that its locking design has for a fault under way, and for what it counts. */
export const DESIGN_WORDS = 12
export const DESIGN_COUNTERS = 20
/** Pages that an mmu_gather holds before it needs a batch. */
export const MMU_GATHER_INLINE = 8

export const Cpu = struct({
  // --- touched by other CPUs ---
  context: 1, // (changes << 2) | mode; RCU's dyntick counter and the TLB's "outside" flag
  tlbStale: 1, // bumped by whoever invalidates this TLB without an IPI
  ipiRequests: 1, // bumped by a sender
  ipiAcks: 1, // requests answered so far
  flushLock: 1, // guards the two words below: what others want this TLB to forget
  flushStart: 1,
  flushEnd: 1,
  rcuReaders: 1, // sections that have ended | nesting of the one under way (see `sync/rcu.ts`), where RCU counts readers
  lineA: 8,
  waitNext: 1, // this CPU as a waiter of one rwsem (FIFO)
  waitKind: 1,
  waitGranted: 1, // futex word
  lineB: 13,
  // --- this CPU's own ---
  irqOff: 1, // nesting of irqSave
  tlbSeen: 1, // value of tlbStale that the TLB reflects
  currentMm: 1,
  out0: 1, // second results of the last call
  out1: 1,
  out2: 1,
  faultAddress: 1, // virtual page number of the last SIGSEGV or SIGBUS
  // page allocator
  pcpHead: 1,
  pcpCount: 1,
  // RCU
  rcuNextHead: 1, // callbacks without a grace period yet
  rcuNextTail: 1,
  rcuWaitHead: 1, // callbacks waiting for rcuWaitSeq
  rcuWaitSeq: 1,
  rcuCallbacks: 1, // queued on this CPU and not yet run
  srcuCallbacks: 1, // given to `call_srcu` by this CPU since it last saw some being run
  // slabs: head of the free list and its length, for each cache
  slabHead: MAX_SLAB_CACHES,
  slabCount: MAX_SLAB_CACHES,
  slabInUse: MAX_SLAB_CACHES, // allocated less freed here: may be negative; the sum over CPUs counts
  // mmu_gather (one munmap, madvise or exit at a time)
  gatherMm: 1,
  gatherStart: 1,
  gatherEnd: 1,
  gatherCount: 1, // pages in the inline array
  gatherPages: MMU_GATHER_INLINE,
  gatherBatch: 1, // full batches of further pages, and the one being filled in front
  gatherBatches: 1,
  gatherTables: 1, // batch of tables being filled
  // a merge being decided (struct vma_merge_struct)
  vmgMm: 1,
  vmgStart: 1,
  vmgEnd: 1,
  vmgFlags: 1,
  vmgPgoff: 1,
  vmgFile: 1,
  vmgAnonVma: 1,
  vmgPolicy: 1,
  vmgSource: 1, // the VMA that the range is, or is copied from; 0 for a new one
  design: DESIGN_WORDS, // the locking design's own
  // the last read of smaps (see `proc/smaps.ts`)
  smapsPresent: 1,
  smapsDirty: 1,
  smapsShown: 1,
  smapsEnd: 1, // the page behind the run that grows
  smapsRanges: 2 * SMAPS_RANGES,
  // maple state
  masTree: 1,
  masIndex: 1,
  masLast: 1,
  masNode: 1,
  masOffset: 1,
  masSpare: 24, // preallocated nodes and the scratch of a store
  masSpareCount: 1,
  // counters (never reset; read at quiescence)
  statFaults: 1,
  statMajorFaults: 1,
  statFaultRetries: 1,
  statFaultFallbacks: 1,
  statDesign: DESIGN_COUNTERS, // see `Design.counters`
  statShootdowns: 1,
  statIpisSent: 1,
  statIpisReceived: 1,
  statTlbMisses: 1,
  statTableAllocs: 1, // page tables allocated; a page of them at once counts once
  statTlbFullFlushes: 1,
  statRcuCallbacks: 1,
  statGracePeriods: 1,
  statLockWaits: LOCK_CLASSES, // contended acquisitions by class of lock
  statLockWaitTime: LOCK_CLASSES, // microseconds, while lock statistics are on
  statLockHoldTime: LOCK_CLASSES,
  mmapReadSince: 1, // when this CPU took an mmap_lock for reading, while statistics are on
  tlb: TLB_ENTRIES * TLB_ENTRY_WORDS,
})

/** Words from one CPU's area to the next: whole cache lines. */
export const CPU_STRIDE = (Cpu.size + 15) & ~15
