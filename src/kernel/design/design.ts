// The interface of a locking design: what the memory manager asks of it, and nothing about any one of them. A design is
// a frozen table of these functions in a file of its own; every call of the manager goes through `design`.
// Rules: functions only, numbers only; a function may sleep only where that is said. `mm` is a struct mm_struct, `vma` a
// struct vm_area_struct, `vpn` a virtual page number; see `fault/fault.ts` for fault flags and results.

/** How page faults and the writers of an address space keep out of each other's way. */
export interface Design {
  /** The name on the command line. */
  readonly name: string

  /** The design that this one is a variation of: scenarios that name no designs leave it out. */
  readonly formOf?: string

  /** The architectures on which scenarios that name no designs ask about it; all if it is left out. `gracewalk matrix` asks everywhere. */
  readonly usualArchs?: readonly string[]

  /** Proposed, and unsafe somewhere: there to be shown so, and used only where it is asked for. */
  readonly draft?: boolean

  /**
   * Faults run inside SRCU sections of `Global.srcuDomain`, in which they never wait for mmap_lock, and look at their VMA for the last
   * time under the lock of the PTE table. Whoever changes what a VMA says and no entry waits for a grace period of the domain.
   */
  readonly faultsUnderSrcu?: boolean

  /** What the design counts, in words: the meanings of the first words of each CPU's `statDesign`. */
  readonly counters?: readonly string[]

  /**
   * Handles a page fault. The CPU is in the kernel and holds nothing; may sleep. Finds the VMA, checks access
   * (`checkAccess`), calls `handleMmFault` under whatever protects it, and falls back as it likes. Holds nothing when it returns. The
   * mm lives on meanwhile, since this CPU runs it; all else may change at any time, by other faults, too.
   * @param access read, write or fetch: a value of `Access`
   * @returns 0 when the access should be tried again, else bits of `VmFault`
   */
  handleFault(mm: number, vpn: number, access: number): number

  /**
   * Drops what `handleFault` holds on `vma`, because the fault is going to sleep for I/O or cannot go on without more
   * protection. `flags` are those that `handleMmFault` was given: it is only called where they have `vmaLock` or `allowRetry`. The
   * fault then returns `VmFault.retry`.
   */
  releaseFault(mm: number, vma: number, flags: number): void

  /**
   * Maps and locks the entry that a fault will change, and makes sure that the fault is still valid: called by every fault
   * handler before it installs anything, also where a system call faults a page in by itself under mmap_lock (MADV_POPULATE, a pin).
   * Must not sleep. Most designs use `pteOffsetMapLock`.
   * @returns as `pteOffsetMapLock`: the entry, the lock in the CPU's `out1`; 0 when the access must be tried again
   */
  pteMapLock(mm: number, vma: number, pmd: number, vpn: number): number

  /** A new mm is being set up, its words are 0: nobody else sees it. */
  mmInit(mm: number): void

  /**
   * mmap_lock has just been taken for writing, and nothing has changed yet; may sleep. One CPU may have the locks of two
   * mms (fork), so what a writer notes belongs into the mm.
   */
  mmapWriteLocked(mm: number): void
  /**
   * mmap_lock is about to be released or downgraded by its writer; must not sleep. The mappings are as they will be, but munmap, which
   * downgrades, has still to clear entries and to free tables and VMAs: faults that begin now must not find what it took out.
   */
  mmapWriteUnlocking(mm: number): void

  /**
   * A VMA of `Vma.mm` has been allocated; nobody else sees it, except that its memory may have been a VMA before, of any mm, at which a
   * late reader still looks. `lockSeq` and `refcnt` are as they were left. It may go to `vmaFree` without having been attached.
   */
  vmaInit(vma: number): void
  /** The VMA's fields are complete; it is about to be stored into the tree. mmap_lock is held for writing. */
  vmaAttach(vma: number): void
  /**
   * The VMA in the tree is about to change or to go. When this returns no fault uses it, and none will until the writer
   * releases mmap_lock. mmap_lock is held for writing; may sleep. Called for new VMAs before `vmaAttach`, too, and more than once.
   */
  vmaStartWrite(vma: number): void
  /**
   * The VMA has been taken out of the tree (or could not be put into it), after `vmaStartWrite`. When this returns no reader is left.
   * mmap_lock is held for writing; may sleep.
   */
  vmaDetach(vma: number): void
  /**
   * The VMA's memory goes back to its slab, at once (`kmemCacheFree(Cache.vma, vma)`) or after whatever grace period the design's
   * lookups need (`callRcu(vma + Vma.rcuHead, RcuFunc.vma)`). mmap_lock is held, for reading or writing; may sleep.
   */
  vmaFree(vma: number): void
}

/** The design of the machine that this thread is bound to. */
export let design: Design

/** Binds this thread to `chosen`. */
export function bindDesign(chosen: Design): void {
  design = chosen
}
