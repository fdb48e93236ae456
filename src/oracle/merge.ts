// VMA merging by Linux 6.18's rules (mm/vma.c): which neighbours a new, moved or changed range joins.
// A range merges with a neighbour when flags, file, page offset and anon_vma all fit.

import { VM_PFNMAP } from './constants.ts'
import { findVmaIndex, insertVma, removeVma, type Space, splitVma, vmaNext, vmaPrev } from './space.ts'
import type { AnonVma, OpenFile, Vma } from './vma.ts'

/** A range that wants to join its neighbours. */
export interface MergeRequest {
  readonly start: number
  readonly end: number
  readonly flags: number
  readonly pgoff: number
  readonly file: OpenFile | undefined
  readonly anonVma: AnonVma | undefined
  readonly policy?: number | undefined
  readonly prev: Vma | undefined
  readonly next: Vma | undefined
  /** The VMA a mremap copies from, whose anon_vma the result inherits. */
  readonly copiedFrom?: Vma
}

/** What a part of a VMA is to get. */
interface Kind {
  readonly flags: number
  readonly policy: number | undefined
}

/** Flags, file and policy agree (is_mergeable_vma). */
function sameKind(request: MergeRequest, neighbour: Vma): boolean {
  return (
    neighbour.flags === request.flags &&
    (neighbour.flags & VM_PFNMAP) === 0 &&
    neighbour.file === request.file &&
    neighbour.policy === request.policy
  )
}

/**
 * The anon_vmas agree (is_mergeable_anon_vma): both the same, or one of the two sides has none and the
 * side that has one did not come through fork. `source` is the existing VMA of the range, if any.
 */
function anonVmaFits(request: MergeRequest, neighbour: Vma, source: Vma | undefined): boolean {
  const theirs = neighbour.anonVma
  const ours = request.anonVma
  if (theirs === undefined && ours !== undefined) return !(source?.anonVma?.forked ?? false)
  if (theirs !== undefined && ours === undefined) return !theirs.forked
  return theirs?.id === ours?.id
}

function pages(space: Space, start: number, end: number): number {
  return (end - start) / space.layout.pageSize
}

function canMergeLeft(space: Space, request: MergeRequest, source: Vma | undefined): boolean {
  const prev = request.prev
  return (
    prev !== undefined &&
    prev.end === request.start &&
    sameKind(request, prev) &&
    anonVmaFits(request, prev, source) &&
    prev.pgoff + pages(space, prev.start, prev.end) === request.pgoff
  )
}

function canMergeRight(space: Space, request: MergeRequest, source: Vma | undefined, left: boolean): boolean {
  const next = request.next
  if (next === undefined || next.start !== request.end || !sameKind(request, next)) return false
  if (!anonVmaFits(request, next, source)) return false
  if (next.pgoff !== request.pgoff + pages(space, request.start, request.end)) return false
  if (!left) return true
  // Each side fits the range; they must also fit each other.
  const below = request.prev?.anonVma
  const above = next.anonVma
  return below === undefined || above === undefined || below.id === above.id
}

/** `target` takes over the anon_vma of what it swallows (dup_anon_vma). */
function adoptAnonVma(target: Vma, source: Vma | undefined): void {
  if (target.anonVma === undefined) target.anonVma = source?.anonVma
}

/**
 * Joins a range that has no VMA yet with its neighbours (vma_merge_new_range).
 *
 * @returns the VMA that now holds the range, or undefined if it fits neither neighbour.
 */
export function mergeNewRange(space: Space, request: MergeRequest, expandOnly = false): Vma | undefined {
  const left = canMergeLeft(space, request, request.copiedFrom)
  const right = !expandOnly && canMergeRight(space, request, request.copiedFrom, left)
  const { prev, next } = request
  if (left && prev !== undefined) {
    space.counters.merges++
    if (right && next !== undefined) {
      removeVma(space, next)
      prev.end = next.end
      adoptAnonVma(prev, next)
    } else {
      prev.end = request.end
    }
    adoptAnonVma(prev, request.copiedFrom)
    return prev
  }
  if (right && next !== undefined) {
    space.counters.merges++
    next.start = request.start
    next.pgoff = request.pgoff
    adoptAnonVma(next, request.copiedFrom)
    return next
  }
  return undefined
}

/**
 * Joins part of `middle`, which is about to be of another kind, with its neighbours (vma_merge_existing_range).
 * The range must touch an end of `middle`.
 */
function mergeExistingRange(space: Space, middle: Vma, start: number, end: number, { flags, policy }: Kind): Vma | undefined {
  const atLeft = start === middle.start
  const atRight = end === middle.end
  const prev = atLeft ? vmaPrev(space, middle) : undefined
  const next = atRight ? vmaNext(space, middle) : undefined
  const { file, anonVma } = middle
  const pgoff = middle.pgoff + pages(space, middle.start, start)
  const request: MergeRequest = { start, end, flags, pgoff, file, anonVma, policy, prev, next }
  const left = atLeft && canMergeLeft(space, request, middle)
  const right = atRight && canMergeRight(space, request, middle, left)
  const whole = atLeft && atRight
  if (left && prev !== undefined) {
    space.counters.merges++
    if (right && next !== undefined) {
      adoptAnonVma(prev, next.anonVma === undefined ? middle : next)
      removeVma(space, middle)
      removeVma(space, next)
      prev.end = next.end
      return prev
    }
    adoptAnonVma(prev, middle)
    if (whole) removeVma(space, middle)
    else {
      middle.pgoff += pages(space, middle.start, end)
      middle.start = end
    }
    prev.end = end
    return prev
  }
  if (right && next !== undefined) {
    space.counters.merges++
    adoptAnonVma(next, middle)
    if (whole) removeVma(space, middle)
    else middle.end = start
    next.start = start
    next.pgoff = pgoff
    return next
  }
  return undefined
}

/**
 * Gives [start, end) of `vma` the VM_* bits `flags`: merges where that fits, else splits (vma_modify).
 *
 * @returns the VMA that now holds the range; it may reach beyond it.
 */
export function modifyFlags(space: Space, vma: Vma, start: number, end: number, flags: number): Vma {
  return modify(space, vma, start, end, { flags, policy: vma.policy })
}

/** The same with a memory policy (vma_modify_policy). */
export function modifyPolicy(space: Space, vma: Vma, start: number, end: number, policy: number | undefined): Vma {
  return modify(space, vma, start, end, { flags: vma.flags, policy })
}

function modify(space: Space, vma: Vma, start: number, end: number, kind: Kind): Vma {
  const merged = mergeExistingRange(space, vma, start, end, kind)
  if (merged !== undefined) return merged
  let range = vma
  if (range.start < start) range = splitVma(space, range, start)
  if (range.end > end) splitVma(space, range, end)
  range.flags = kind.flags
  range.policy = kind.policy
  return range
}

/** Adds a new VMA, merged with its neighbours where that fits. The range must be free. */
export function addRange(space: Space, request: Omit<MergeRequest, 'prev' | 'next'>): Vma {
  const { start, end, flags, pgoff, file, anonVma } = request
  const index = findVmaIndex(space, start)
  const prev = space.vmas[index - 1]
  const next = space.vmas[index]
  const merged = mergeNewRange(space, { ...request, prev, next })
  if (merged !== undefined) return merged
  const vma: Vma = { start, end, flags, pgoff, file, anonVma }
  insertVma(space, vma)
  return vma
}
