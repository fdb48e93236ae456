// How long a munmap takes, beside a thread that faults: jobs of two CPUs. CPU 0 maps, writes, unmaps and holds a clock to the munmap;
// CPU 1 faults meanwhile, on memory, or on a file whose pages come from a disk.
import { beginAccess, endAccess, fileOpen, inodeCreate, sysMadvise, sysMmap, sysMunmap } from '../src/kernel/kernel.ts'
import { Access } from '../src/kernel/pagetable/tlb.ts'
import { Placement } from '../src/kernel/syscall/mmap.ts'
import { Vm } from '../src/kernel/vma/vma.ts'

const PRIVATE = Vm.read | Vm.write | Vm.mayRead | Vm.mayWrite | Vm.mayExec | Vm.account
const DONTNEED = 4
/** Pages of the mapping that is timed, and of the memory in which the other thread faults. */
const TIMED_PAGES = 16
const FAULT_PAGES = 256
const MOST = 1 << 20

/** What both are told. `gate`: words shared by the two threads: arrived, stop. */
export interface LatencyJob {
  readonly mm: number
  readonly milliseconds: number
  /** The page from which the other thread's memory or file is mapped. */
  readonly region: number
  /** Pages of a file on a disk, or 0: it faults on memory. */
  readonly filePages: number
  readonly gate: Int32Array
}

/** Maps what the other thread faults on. Returns its first page. */
export function mapRegion(_cpu: number, data: unknown): number {
  const { mm, filePages } = data as { mm: number; filePages: number }
  const file = filePages === 0 ? 0 : fileOpen(inodeCreate(filePages, 1, 0, 1))
  const page = sysMmap(mm, 0, filePages === 0 ? FAULT_PAGES : filePages, PRIVATE, Placement.hint, file, 0)
  if (page < 0) throw new Error(`mmap: ${page}`)
  return page
}

function touch(page: number, kind: number): void {
  const frame = beginAccess(page, kind)
  if (frame <= 0) throw new Error(`page ${page}: fault ${frame}`)
  endAccess()
}

function together(gate: Int32Array): void {
  Atomics.add(gate, 0, 1)
  while (Atomics.load(gate, 0) < 2);
}

/** CPU 0. Returns the time of each munmap in nanoseconds. */
export function unmapAndTime(_cpu: number, data: unknown): Float64Array {
  const { mm, milliseconds, gate } = data as LatencyJob
  const times = new Float64Array(MOST)
  let count = 0
  together(gate)
  const start = performance.now()
  let now = start
  while (now - start < milliseconds && count < MOST) {
    const page = sysMmap(mm, 0, TIMED_PAGES, PRIVATE | Vm.noReserve, Placement.hint, 0, 0)
    if (page < 0) throw new Error(`mmap: ${page}`)
    for (let i = 0; i < TIMED_PAGES; i++) touch(page + i, Access.write)
    const before = performance.now()
    sysMunmap(mm, page, TIMED_PAGES)
    now = performance.now()
    times[count++] = (now - before) * 1e6
  }
  Atomics.store(gate, 1, 1)
  return times.slice(0, count)
}

/** CPU 1: faults until the other one is done; on a file from page `from` on. Returns the faults, and where it stopped. */
export function faultMeanwhile(_cpu: number, data: unknown): { faults: number; at: number } {
  const { mm, region, filePages, gate, from } = data as LatencyJob & { from: number }
  let faults = 0
  let at = from
  together(gate)
  while (Atomics.load(gate, 1) === 0) {
    if (filePages !== 0) {
      if (at === filePages) throw new Error('the file is too short: every page of it is in memory')
      touch(region + at++, Access.read)
      faults++
    } else {
      for (let i = 0; i < FAULT_PAGES; i++) touch(region + i, Access.write)
      sysMadvise(mm, region, FAULT_PAGES, DONTNEED)
      faults += FAULT_PAGES
    }
  }
  return { faults, at }
}
