// What a machine is built with besides its architecture, its design and its policy of freeing tables: which index finds a VMA,
// which flavour RCU has, and how many page tables are allocated at a time. Bound once per thread, like the architecture.

/**
 * What finds a VMA by its address. `maple`: a maple tree, which readers under RCU may walk beside a writer. `rbtree`: a red-black tree
 * whose nodes lie in the VMAs: whoever walks it without mmap_lock may miss what is there, and must validate.
 */
export const VmaIndex = Object.freeze({ maple: 0, rbtree: 1 })

/** Their names on the command line, by number. A machine records the number: append, never reorder. */
export const vmaIndexes: readonly { readonly name: string }[] = Object.freeze([
  Object.freeze({ name: 'maple' }),
  Object.freeze({ name: 'rbtree' }),
])

/**
 * What RCU takes for the end of a reader. `quiescent`: that of a kernel that is not preemptible; whatever a CPU does between two
 * quiescent states is a reader. `preemptible`: readers are counted, and nothing else is one but regions with interrupts off.
 */
export const RcuFlavour = Object.freeze({ quiescent: 0, preemptible: 1 })

/** Their names, by number. Append, never reorder. */
export const rcuFlavours: readonly { readonly name: string }[] = Object.freeze([
  Object.freeze({ name: 'quiescent' }),
  Object.freeze({ name: 'preemptible' }),
])

/**
 * How many PTE tables are allocated when one is missing. `one`: that one. `sixteen`: a page of them for the aligned group of upper
 * entries around it, as far as they are empty. Where a table is a page the two are the same.
 */
export const TableAllocation = Object.freeze({ one: 0, sixteen: 1 })

/** Their names, by number. Append, never reorder. */
export const tableAllocations: readonly { readonly name: string }[] = Object.freeze([
  Object.freeze({ name: 'one' }),
  Object.freeze({ name: 'sixteen' }),
])

/** A value of `VmaIndex`. */
export let VMA_INDEX = 0
/** Whether readers of RCU are counted: see `RcuFlavour`. */
export let RCU_PREEMPTIBLE = false
/** Whether tables are allocated by the page: see `TableAllocation`. */
export let TABLES_BY_THE_PAGE = false

/** Binds this thread to a machine's choices: values of `VmaIndex`, `RcuFlavour` and `TableAllocation`. */
export function bindAxes(index: number, rcu: number, tables: number): void {
  VMA_INDEX = index
  RCU_PREEMPTIBLE = rcu === RcuFlavour.preemptible
  TABLES_BY_THE_PAGE = tables === TableAllocation.sixteen
}
