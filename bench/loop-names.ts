// The loops there are, what one operation of each is, and which of them have a target.

/** Every loop by name: what is counted. */
export const LOOPS = {
  page_fault1: 'faults: write to private anonymous memory',
  page_fault2: 'faults: write to a private file mapping (copy)',
  page_fault3: 'faults: write to a shared file mapping',
  mmap1: 'mmap + munmap, untouched',
  mmap_touch_munmap: 'mmap + write + munmap of one page',
  brk1: 'brk by one page, up or down',
  tlb_flush1: 'write + DONTNEED + read, private file mapping',
  tlb_flush2: 'write + DONTNEED + read, private anonymous memory',
  tlb_flush3: 'write + DONTNEED + read, shared file mapping',
  arithmetic: 'additions over 16 KB, no memory manager: what two threads can do together on this machine',
} as const

/** The name of a loop. */
export type LoopName = keyof typeof LOOPS

/** A loop, or what a thread does beside another one's loop: maps, writes and unmaps a few pages that merge with nobody's. */
export type ThreadLoop = LoopName | 'map_regions'

/** The pages of one such mapping. */
export const REGION_PAGES = 16

/** The loops that set each design beside mmap-lock: what the table calls them. */
export const AGAINST_MMAP_LOCK = ['fault_alone', 'fault_beside_mmap'] as const

/** The name of one of them. */
export type AgainstMmapLock = (typeof AGAINST_MMAP_LOCK)[number]

/** What part of mmap-lock's rate every design should reach with one thread. */
export const TARGET_ALONE = 0.9

/** How many times Linux's rate per thread a loop should reach. */
export const TARGET_RATIO: Partial<Record<LoopName, number>> = { page_fault1: 3, mmap_touch_munmap: 3 }

/** How many times the rate of one thread two threads together should reach, and for which design. */
export const TARGET_SCALING = { loop: 'page_fault1', design: 'vma-lock', ratio: 1.7 } as const
