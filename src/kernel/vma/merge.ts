// Merging by Linux 6.18's rules: a range joins a neighbour when flags, file, policy, page offset and anon_vma all fit. The range is
// described in the CPU's `vmg…` words (struct vma_merge_struct). The tree is changed first: if that needs memory that is
// not there, nothing has happened. mmap_lock is held for writing throughout.
import { isRunStart } from '../arch/windows.ts'
import { design } from '../design/design.ts'
import { Errno } from '../machine/errno.ts'
import { load, store, thisCpu, writeOnce } from '../machine/instructions.ts'
import { Cpu } from '../machine/percpu.ts'
import { putFile } from '../memory/file.ts'
import { mpolEqual } from '../memory/mempolicy.ts'
import { Mm } from '../memory/mm.ts'
import { anonVmaClone, chainIsSingular, unlinkAnonVmas, vmaIsForkChild } from './anon-vma.ts'
import { touchingNext, touchingPrev, vmaLookup } from './find-vma.ts'
import { Vm, Vma, vmaPages, vmaPutPolicy } from './vma.ts'
import { vmaTreeExpand } from './vma-tree.ts'

/** Describes the range for the functions below. `source`: the VMA that it is part of or is copied from, or 0. */
export function vmgSet(mm: number, start: number, end: number, flags: number, pgoff: number, file: number, source: number): void {
  const cpu = thisCpu()
  store(cpu + Cpu.vmgMm, mm)
  store(cpu + Cpu.vmgStart, start)
  store(cpu + Cpu.vmgEnd, end)
  store(cpu + Cpu.vmgFlags, flags)
  store(cpu + Cpu.vmgPgoff, pgoff)
  store(cpu + Cpu.vmgFile, file)
  store(cpu + Cpu.vmgSource, source)
  store(cpu + Cpu.vmgAnonVma, source === 0 ? 0 : load(source + Vma.anonVma))
  store(cpu + Cpu.vmgPolicy, source === 0 ? 0 : load(source + Vma.policy))
}

/** The described range goes, or is about to go, by `policy` (0: none). */
export function vmgSetPolicy(policy: number): void {
  store(thisCpu() + Cpu.vmgPolicy, policy)
}

/** The described range belongs to `anonVma` although it has no VMA yet: what a mapping expands into. */
export function vmgSetAnonVma(anonVma: number): void {
  store(thisCpu() + Cpu.vmgAnonVma, anonVma)
}

/** is_mergeable_vma and is_mergeable_anon_vma: whether the range and `neighbour` are of one kind. */
function isMergeable(neighbour: number): boolean {
  const cpu = thisCpu()
  if (load(neighbour + Vma.flags) !== load(cpu + Cpu.vmgFlags)) return false
  // Mappings of devices never merge (VM_SPECIAL).
  if ((load(neighbour + Vma.flags) & Vm.pfnMap) !== 0) return false
  if (load(neighbour + Vma.file) !== load(cpu + Cpu.vmgFile)) return false
  if (!mpolEqual(load(neighbour + Vma.policy), load(cpu + Cpu.vmgPolicy))) return false
  const theirs = load(neighbour + Vma.anonVma)
  const ours = load(cpu + Cpu.vmgAnonVma)
  const source = load(cpu + Cpu.vmgSource)
  if (theirs === 0 && ours !== 0) return source === 0 || chainIsSingular(source)
  if (theirs !== 0 && ours === 0) return !vmaIsForkChild(neighbour)
  return theirs === ours
}

function canMergeLeft(prev: number): boolean {
  const cpu = thisCpu()
  if (prev === 0 || load(prev + Vma.end) !== load(cpu + Cpu.vmgStart) || isRunStart(load(cpu + Cpu.vmgStart))) return false
  return isMergeable(prev) && ((load(prev + Vma.pgoff) + vmaPages(prev)) | 0) === load(cpu + Cpu.vmgPgoff)
}

function canMergeRight(next: number, left: number): boolean {
  const cpu = thisCpu()
  if (next === 0 || load(next + Vma.start) !== load(cpu + Cpu.vmgEnd) || !isMergeable(next)) return false
  if (isRunStart(load(cpu + Cpu.vmgEnd))) return false
  const pages = load(cpu + Cpu.vmgEnd) - load(cpu + Cpu.vmgStart)
  if (load(next + Vma.pgoff) !== ((load(cpu + Cpu.vmgPgoff) + pages) | 0)) return false
  if (left === 0) return true
  // Each fits the range; they must also fit each other.
  const below = load(left + Vma.anonVma)
  const above = load(next + Vma.anonVma)
  return below === 0 || above === 0 || below === above
}

/** dup_anon_vma: `target` takes over the anon_vma of what it swallows, if it has none. Returns 0 or -ENOMEM. */
function dupAnonVma(target: number, source: number): number {
  if (source === 0 || load(target + Vma.anonVma) !== 0 || load(source + Vma.anonVma) === 0) return 0
  return anonVmaClone(target, source, 1) === 0 ? 0 : -Errno.ENOMEM
}

/** Removes a VMA that another has swallowed: it is out of the tree already and write-locked. */
function dropSwallowed(mm: number, vma: number): void {
  design.vmaDetach(vma)
  unlinkAnonVmas(vma)
  if (load(vma + Vma.file) !== 0) putFile(load(vma + Vma.file))
  vmaPutPolicy(vma)
  store(mm + Mm.mapCount, load(mm + Mm.mapCount) - 1)
  design.vmaFree(vma)
}

/** Makes `vma` reach from `start` to `end`, over whatever the tree has there. Returns 0 or -ENOMEM, nothing changed. */
function stretch(mm: number, vma: number, start: number, end: number): number {
  const from = load(vma + Vma.start)
  const to = load(vma + Vma.end)
  const low = Math.min(start, from)
  const high = Math.max(end, to)
  const error = vmaTreeExpand(mm, vma, low, high)
  if (error !== 0) return error
  if (start < from) writeOnce(vma + Vma.pgoff, (load(vma + Vma.pgoff) - (from - start)) | 0)
  writeOnce(vma + Vma.start, low)
  writeOnce(vma + Vma.end, high)
  return 0
}

/**
 * vma_merge_new_range: joins the described range, which has no VMA yet, with the VMAs that touch it; `expandOnly` 1 looks
 * left alone. Returns the VMA that now holds the range, or 0 if neither fits (or memory is short: then a VMA of its own
 * will do).
 */
export function vmaMergeNewRange(expandOnly: number): number {
  const cpu = thisCpu()
  const mm = load(cpu + Cpu.vmgMm)
  const start = load(cpu + Cpu.vmgStart)
  const end = load(cpu + Cpu.vmgEnd)
  const source = load(cpu + Cpu.vmgSource)
  const prev = start === 0 ? 0 : vmaLookup(mm, start - 1)
  const next = expandOnly !== 0 ? 0 : vmaLookup(mm, end)
  const left = canMergeLeft(prev)
  const right = canMergeRight(next, left ? prev : 0)
  if (left) {
    design.vmaStartWrite(prev)
    if (right) {
      design.vmaStartWrite(next)
      if (dupAnonVma(prev, next) !== 0) return 0
    }
    if (dupAnonVma(prev, source) !== 0) return 0
    if (stretch(mm, prev, load(prev + Vma.start), right ? load(next + Vma.end) : end) !== 0) return 0
    if (right) dropSwallowed(mm, next)
    return prev
  }
  if (!right) return 0
  design.vmaStartWrite(next)
  if (dupAnonVma(next, source) !== 0) return 0
  return stretch(mm, next, start, load(next + Vma.end)) === 0 ? next : 0
}

/**
 * vma_merge_existing_range: joins the described range, part of `middle` that touches one of its ends and is about to get
 * other flags, with the neighbours there. Returns the VMA that now holds the range, or 0.
 */
export function vmaMergeExistingRange(middle: number): number {
  const cpu = thisCpu()
  const mm = load(cpu + Cpu.vmgMm)
  const start = load(cpu + Cpu.vmgStart)
  const end = load(cpu + Cpu.vmgEnd)
  const atLeft = start === load(middle + Vma.start)
  const atRight = end === load(middle + Vma.end)
  const prev = atLeft ? touchingPrev(mm, middle) : 0
  const next = atRight ? touchingNext(mm, middle) : 0
  const left = canMergeLeft(prev)
  const right = canMergeRight(next, left ? prev : 0)
  if (!left && !right) return 0
  const whole = (left && right) || (atLeft && atRight)
  const target = left ? prev : next
  design.vmaStartWrite(target)
  design.vmaStartWrite(middle)
  if (left && right) {
    design.vmaStartWrite(next)
    if (dupAnonVma(prev, load(next + Vma.anonVma) === 0 ? middle : next) !== 0) return 0
    if (stretch(mm, prev, load(prev + Vma.start), load(next + Vma.end)) !== 0) return 0
    dropSwallowed(mm, next)
  } else {
    if (dupAnonVma(target, middle) !== 0) return 0
    const error = left ? stretch(mm, prev, load(prev + Vma.start), end) : stretch(mm, next, start, load(next + Vma.end))
    if (error !== 0) return 0
  }
  if (whole) dropSwallowed(mm, middle)
  else if (left) {
    writeOnce(middle + Vma.pgoff, (load(middle + Vma.pgoff) + end - load(middle + Vma.start)) | 0)
    writeOnce(middle + Vma.start, end)
  } else writeOnce(middle + Vma.end, start)
  return target
}
