// One operation, performed on the machine that this thread is a CPU of.
import {
  beginAccess,
  endAccess,
  sysBrk,
  sysFork,
  sysMadvise,
  sysMmap,
  sysMprotect,
  sysMremap,
  sysMunmap,
  sysNewMm,
  sysSwitchMm,
} from '../../kernel/kernel.ts'
import { readOnce, store, writeOnce } from '../../kernel/machine/instructions.ts'
import { Mm } from '../../kernel/memory/mm.ts'
import { Access } from '../../kernel/pagetable/tlb.ts'
import { Control, FileEntry, Kind, NO_SPACE, Op, Result, type Shared, Space } from './layout.ts'
import { endSpace, residentPages, type SpaceEnd } from './snapshot.ts'

/** A CPU in the middle of a replay. */
export interface Performer {
  readonly shared: Shared
  /** The space whose page tables the CPU has loaded, -1 for none. */
  current: number
  readonly contents: boolean
  readonly ends: SpaceEnd[]
}

const ENOMEM = 12

/** What a write stores: names the operation, and with it task, page and sequence. */
export function stampOf(id: number): number {
  return id + 1
}

/** The operation that wrote `stamp`. */
export function writerOf(stamp: number): number {
  return stamp - 1
}

/** Performs operation `id`, whose words are at `at`; results go to `to`. Returns nanoseconds. */
export function perform(by: Performer, _cpu: number, id: number, at: number, to: number): number {
  const { ops, results, spaces } = by.shared
  const space = ops[at + Op.space]!
  const mm = spaces[space * Space.size + Space.mm]!
  const kind = ops[at + Op.kind]!
  if (mm === 0) {
    results[to + Result.result] = NO_SPACE
    return 0
  }
  if (kind === Kind.touch) return touch(by, id, at, to, space, mm)
  if (kind === Kind.munmap || kind === Kind.mremap || kind === Kind.madvise || kind === Kind.exit) notePeak(by, space, mm)
  if (kind === Kind.exit || kind === Kind.exec) leave(by, at, space, mm)
  const start = performance.now()
  const result = call(by, at, kind, mm)
  const ns = (performance.now() - start) * 1e6
  results[to + Result.result] = result
  return ns
}

function switchTo(by: Performer, space: number, mm: number): void {
  if (by.current === space) return
  sysSwitchMm(mm)
  by.current = space
}

function touch(by: Performer, id: number, at: number, to: number, space: number, mm: number): number {
  const { ops, results } = by.shared
  switchTo(by, space, mm)
  const page = ops[at + Op.args]!
  const access = ops[at + Op.args + 1]!
  const start = performance.now()
  const frame = beginAccess(page, access)
  if (frame < 0) {
    results[to + Result.result] = frame
    return (performance.now() - start) * 1e6
  }
  if (access === Access.write) writeOnce(frame, stampOf(id))
  else results[to + Result.seen] = readOnce(frame)
  endAccess()
  return (performance.now() - start) * 1e6
}

function call(by: Performer, at: number, kind: number, mm: number): number {
  const { ops, files, spaces } = by.shared
  const a = at + Op.args
  switch (kind) {
    case Kind.mmap: {
      const file = ops[a + 4]!
      return sysMmap(
        mm,
        ops[a]!,
        ops[a + 1]!,
        ops[a + 2]!,
        ops[a + 3]!,
        file === 0 ? 0 : files[(file - 1) * FileEntry.size + FileEntry.file]!,
        ops[a + 5]!,
      )
    }
    case Kind.munmap:
      return sysMunmap(mm, ops[a]!, ops[a + 1]!)
    case Kind.mprotect:
      return sysMprotect(mm, ops[a]!, ops[a + 1]!, ops[a + 2]!)
    case Kind.madvise:
      return sysMadvise(mm, ops[a]!, ops[a + 1]!, ops[a + 2]!)
    case Kind.mremap:
      return sysMremap(mm, ops[a]!, ops[a + 1]!, ops[a + 2]!, ops[a + 3]!, ops[a + 4]!)
    case Kind.brk:
      return sysBrk(mm, ops[a]!, ops[a + 1]!)
    case Kind.fork: {
      const child = sysFork(mm)
      begin(spaces, ops[a]!, child, by)
      return child === 0 ? -ENOMEM : 0
    }
    case Kind.exec: {
      const made = newSpace(spaces, ops[a]!)
      begin(spaces, ops[a]!, made, by)
      return made === 0 ? -ENOMEM : 0
    }
    case Kind.answer:
      return ops[a]!
    default:
      return 0
  }
}

/** Makes the mm of space `space` as exec does, with its heap where it will be. Returns 0 without memory. */
export function newSpace(spaces: Int32Array, space: number): number {
  const mm = sysNewMm()
  const heap = spaces[space * Space.size + Space.heap]!
  if (mm !== 0 && heap > 0) {
    store(mm + Mm.startBrk, heap)
    store(mm + Mm.brk, heap)
  }
  return mm
}

function begin(spaces: Int32Array, space: number, mm: number, by: Performer): void {
  spaces[space * Space.size + Space.born] = Atomics.load(by.shared.control, Control.ticket)
  Atomics.store(spaces, space * Space.size + Space.mm, mm)
}

/** The task leaves its address space (exit, exec); the last one ends it. */
function leave(by: Performer, at: number, space: number, mm: number): void {
  const { ops, spaces } = by.shared
  sysSwitchMm(0)
  by.current = -1
  if (ops[at + Op.last] === 0) return
  notePeak(by, space, mm)
  Atomics.store(spaces, space * Space.size + Space.mm, 0)
  const end = endSpace(space, mm, by.contents)
  by.ends.push(end)
  spaces[space * Space.size + Space.tablePeak] = end.tablePeak
  spaces[space * Space.size + Space.dead] = Atomics.load(by.shared.control, Control.ticket)
}

/** Resident pages only shrink where this is called, so that the largest value seen is the peak. */
export function notePeak(by: { readonly shared: Shared }, space: number, mm: number): void {
  const p = space * Space.size + Space.residentPeak
  const now = residentPages(mm)
  let peak = Atomics.load(by.shared.spaces, p)
  while (now > peak) peak = Atomics.compareExchange(by.shared.spaces, p, peak, now)
}
