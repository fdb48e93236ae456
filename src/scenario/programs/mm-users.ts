// Readers of another process's address space, as those of /proc: they have its structure (mm_count), and need it alive (mm_users).
import { Mm, mmDrop, mmGrab } from '../../kernel/memory/mm.ts'
import { SmapsWalk, sysSmaps } from '../../kernel/proc/smaps.ts'
import { refcountIncNotZero } from '../../kernel/sync/refcount.ts'
import { enterKernel, exitKernel } from '../../kernel/syscall/entry.ts'
import { sysExit } from '../../kernel/syscall/exit.ts'

/** What a reader returns that has come too late. */
export const GONE = -3

/** Keeps the structure of `mm` for a reader; in the kernel, as whoever opens a file of /proc. */
export function grab(mm: number): number {
  enterKernel()
  mmGrab(mm)
  exitKernel()
  return 0
}

function drop(mm: number): void {
  enterKernel()
  mmDrop(mm)
  exitKernel()
}

/** Keeps the structure of `mm`, which is alive, for a moment, as a late reader of a VMA that `mm` has got does. */
export function grabAndDrop(mm: number): number {
  grab(mm)
  drop(mm)
  return 0
}

/** mmget_not_zero, walk of the pages from `start` to `end` under RCU, mmput. Returns the pages present, or `GONE`. */
export function walkOfAUser(mm: number, start: number, end: number): number {
  let result = GONE
  if (refcountIncNotZero(mm + Mm.users) !== 0) {
    result = sysSmaps(mm, start, end, SmapsWalk.rcu)
    sysExit(mm)
  }
  drop(mm)
  return result
}

/** Broken: relies on the structure that it holds, and does not ask whether anybody uses the address space. */
export function walkByCount(mm: number, start: number, end: number): number {
  const result = sysSmaps(mm, start, end, SmapsWalk.rcu)
  drop(mm)
  return result
}
