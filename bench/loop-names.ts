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

/** How many times Linux's rate per thread a loop should reach. */
export const TARGET_RATIO: Partial<Record<LoopName, number>> = { page_fault1: 3, mmap_touch_munmap: 3 }

/** How many times the rate of one thread two threads together should reach, and for which design. */
export const TARGET_SCALING = { loop: 'page_fault1', design: 'vma-lock', ratio: 1.7 } as const
