// userfaultfd's missing mode in the sequential model, which knows nothing of it: which pages are registered, and which of them
// somebody has filled. It is asked before the call goes to the model.
import type { CallDescription } from '../../check/detect/index.ts'
import { VmFault } from '../../kernel/fault/fault.ts'
import { Errno } from '../../kernel/machine/errno.ts'
import { Advice } from '../../kernel/syscall/madvise.ts'

/** The missing pages of one address space. */
export interface MissingPages {
  /** What `call` answers because of them, or null: then the model says. `mapped`: whether a page is in a mapping. */
  answer(call: CallDescription, mapped: (page: number) => boolean): number | null
  /** `call` has succeeded, with `result`. */
  done(call: CallDescription, result: number): void
}

function pagesOf({ start, pages }: CallDescription): number[] {
  return Array.from({ length: pages }, (_, i) => start + i)
}

/** No page is registered, none is filled. */
export function createMissingPages(): MissingPages {
  const registered = new Set<number>()
  const filled = new Set<number>()
  const missing = (page: number): boolean => registered.has(page) && !filled.has(page)
  return {
    answer: (call, mapped) => {
      switch (call.name) {
        case 'userfault-register':
        case 'userfault-unregister':
          return pagesOf(call).every(mapped) ? 0 : -Errno.EINVAL
        case 'userfault-copy':
          if (!registered.has(call.start)) return -Errno.EINVAL
          return filled.has(call.start) ? -Errno.EEXIST : null
        case 'read':
        case 'write':
          return missing(call.start) ? -VmFault.userfault : null
        case 'madvise':
          return (call.advice === Advice.populateRead || call.advice === Advice.populateWrite) && pagesOf(call).some(missing)
            ? -Errno.EFAULT
            : null
        default:
          return null
      }
    },
    done: (call, result) => {
      if (result < 0) return
      for (const page of pagesOf(call)) {
        if (call.name === 'userfault-register') registered.add(page)
        else if (call.name === 'userfault-unregister') registered.delete(page)
        else if (call.name === 'read' || call.name === 'write' || call.name === 'userfault-copy') filled.add(page)
        else if (call.name === 'madvise' && call.advice === Advice.dontneed) filled.delete(page)
        else if (call.name === 'madvise' && call.advice !== Advice.free) filled.add(page)
        else if (call.name === 'munmap' || call.name === 'mmap') {
          filled.delete(page)
          registered.delete(page)
        }
      }
    },
  }
}
