// One mapping of the sequential model, the objects behind it, and its anon_vma state.
// Addresses and lengths are bytes (exact JS numbers), `pgoff` counts pages.

import { VM_SHARED } from './constants.ts'

/** What a file mapping shows: the inode with its pages. Shared anonymous memory is one of these too. */
export interface MappedObject {
  /** Stable name of the inode, the same for every open of it. */
  readonly name: string
  /** Size in bytes; a page that lies wholly beyond it raises SIGBUS. */
  size: number
  /** Stamp of each page that does not read as zero, by page index. */
  readonly stamps: Map<number, number>
  /** A device's memory. */
  readonly device?: boolean
}

/** An open file (Linux: `struct file`). Two opens of one inode are two of these, and never merge. */
export interface OpenFile {
  readonly object: MappedObject
  readonly readable: boolean
  readonly writable: boolean
}

/**
 * The anon_vma of a VMA, reduced to what merging asks: identity, and whether the VMA's chain of them is
 * longer than one, which is the mark of a VMA that came through fork with pages from its parent.
 */
export interface AnonVma {
  readonly id: number
  readonly forked: boolean
}

/** One VMA. */
export interface Vma {
  start: number
  end: number
  /** VM_* bits. */
  flags: number
  /** Page offset: into the file, or for private anonymous memory the page number it was created at. */
  pgoff: number
  readonly file: OpenFile | undefined
  /** Set by the first fault that needs private memory; undefined before. */
  anonVma: AnonVma | undefined
  /** The node that its private pages had better come from. */
  policy?: number | undefined
}

/** True for private anonymous memory (`vma_is_anonymous`); shared anonymous memory has a file. */
export function vmaIsAnonymous(vma: Vma): boolean {
  return vma.file === undefined
}

/** True when stores go to the object itself and not to a private copy. */
export function vmaIsShared(vma: Vma): boolean {
  return (vma.flags & VM_SHARED) !== 0
}
