// The loops of bench/linux.c on our kernel, as jobs of a CPU: `prepare` lays out a process, `measure` runs one loop.
// One cycle of a loop is one whole mapping or a few dozen calls; each does the same calls in the same order as in C.
import { execFileSync } from 'node:child_process'
import { readFileSync, readlinkSync } from 'node:fs'
import { PAGE_SHIFT } from '../src/kernel/arch/arch.ts'
import {
  beginAccess,
  endAccess,
  enterKernel,
  exitKernel,
  fileOpen,
  inodeCreate,
  rcuBarrier,
  sysBrk,
  sysExit,
  sysMadvise,
  sysMmap,
  sysMunmap,
  sysNewMm,
  sysSwitchMm,
} from '../src/kernel/kernel.ts'
import { load, store } from '../src/kernel/machine/instructions.ts'
import { Mm } from '../src/kernel/memory/mm.ts'
import { Access } from '../src/kernel/pagetable/tlb.ts'
import { Placement } from '../src/kernel/syscall/mmap.ts'
import { Vm } from '../src/kernel/vma/vma.ts'
import { REGION_PAGES, type ThreadLoop } from './loop-names.ts'

const PRIVATE = Vm.read | Vm.write | Vm.mayRead | Vm.mayWrite | Vm.mayExec | Vm.account
const SHARED = (PRIVATE & ~Vm.account) | Vm.shared | Vm.mayShare
const DONTNEED = 4
const CHECK_EVERY = 64

/** What `measure` is told. `gate`: words shared by the threads of one measurement: arrived, stop. */
export interface LoopJob {
  readonly name: ThreadLoop
  readonly mm: number
  readonly file: number
  readonly megabytes: number
  readonly milliseconds: number
  readonly threads: number
  readonly gate: Int32Array
}

/** What a thread did: operations, and nanoseconds of wall and of CPU time (0 if the machine does not tell). */
export interface Measured {
  readonly operations: number
  readonly wall: number
  readonly cpu: number
}

/** Makes this thread run on core `cpu` alone, where the system lets us. Returns whether it did. */
export function pin(cpu: number): boolean {
  try {
    const thread = readlinkSync('/proc/thread-self').split('/').pop()
    execFileSync('taskset', ['-pc', String(cpu), String(thread)], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

/** Nanoseconds for which this thread has run, 0 if the system does not tell. */
function cpuTime(): number {
  try {
    return Number(readFileSync('/proc/thread-self/schedstat', 'utf8').split(' ')[0])
  } catch {
    return 0
  }
}

/** Lays out a process like any other: text, a library, a heap, a stack, each with a page in use. Returns its mm and files. */
export function prepare(_cpu: number, data: unknown): { mm: number; files: number[] } {
  const { threads, megabytes } = data as { threads: number; megabytes: number }
  const mm = sysNewMm()
  sysSwitchMm(mm)
  const text = fileOpen(inodeCreate(512, 0, 0, 0))
  const library = fileOpen(inodeCreate(512, 0, 0, 1))
  const readExec = Vm.read | Vm.exec | Vm.mayRead | Vm.mayWrite | Vm.mayExec
  const unit = 1 << (20 - PAGE_SHIFT)
  const at = (from: number, pages: number, flags: number, file: number): void => {
    const page = sysMmap(mm, from, pages, flags, from === 0 ? Placement.hint : Placement.fixed, file, 0)
    if (page < 0) throw new Error(`mmap: ${page}`)
    access(page, (flags & Vm.write) !== 0 ? Access.write : Access.read)
  }
  at(4 * unit, unit, readExec, text)
  at(5 * unit, unit, PRIVATE, text)
  at(0, unit, readExec, library)
  at(0, unit, PRIVATE, library)
  at(load(mm + Mm.mmapBase) + 64 * unit, unit, PRIVATE, 0)
  const heap = 64 * unit
  store(mm + Mm.startBrk, heap)
  store(mm + Mm.brk, heap)
  if (sysBrk(mm, heap + 2, 0) !== 0) throw new Error('brk')
  access(heap, Access.write)
  const files = Array.from({ length: threads }, (_, i) => fileOpen(inodeCreate(megabytes << (20 - PAGE_SHIFT), 0, 1, 2 + i)))
  return { mm, files }
}

/** Makes this CPU run `mm`, on a core of its own. Returns whether it is pinned. */
export function join(cpu: number, data: unknown): boolean {
  sysSwitchMm(data as number)
  return pin(cpu)
}

/** This CPU leaves the process; with `last`, the process ends. Its memory goes back, so that the next one starts alike. */
export function leave(_cpu: number, data: unknown): void {
  const { mm, last } = data as { mm: number; last: boolean }
  sysSwitchMm(0)
  if (last) sysExit(mm)
  enterKernel()
  rcuBarrier()
  exitKernel()
}

/** Runs one loop until the first thread's time is over. */
export function measure(_cpu: number, data: unknown): Measured {
  const job = data as LoopJob
  const { gate, threads, milliseconds } = job
  // Not timed: the file's pages and the allocator's lists are warm, as Linux's are.
  cycle(job)
  Atomics.add(gate, 0, 1)
  while (Atomics.load(gate, 0) < threads);
  const cpu = cpuTime()
  const start = performance.now()
  let operations = 0
  let elapsed = 0
  do {
    operations += cycle(job)
    elapsed = performance.now() - start
    if (elapsed >= milliseconds) Atomics.store(gate, 1, 1)
  } while (Atomics.load(gate, 1) === 0)
  return { operations, wall: elapsed * 1e6, cpu: cpuTime() - cpu }
}

function cycle(job: LoopJob): number {
  const { name, mm, file, gate } = job
  const pages = job.megabytes << (20 - PAGE_SHIFT)
  if (name === 'page_fault1') return touch(mm, pages, PRIVATE, 0, gate)
  if (name === 'page_fault2') return touch(mm, pages, PRIVATE, file, gate)
  if (name === 'page_fault3') return touch(mm, pages, SHARED, file, gate)
  if (name === 'mmap1') return mapOnly(mm, pages)
  if (name === 'mmap_touch_munmap') return mapTouch(mm, 1, PRIVATE)
  // Another accounting, so that nothing merges with what the other thread has mapped.
  if (name === 'map_regions') return mapTouch(mm, REGION_PAGES, PRIVATE | Vm.noReserve)
  if (name === 'brk1') return heapLoop(mm)
  if (name === 'arithmetic') return additions()
  if (name === 'tlb_flush1') return flush(mm, pages, PRIVATE, file, gate)
  if (name === 'tlb_flush2') return flush(mm, 1 << (20 - PAGE_SHIFT), PRIVATE, 0, gate)
  return flush(mm, pages, SHARED, file, gate)
}

/** Writes (or reads) the first word of a page. Returns what is there then. */
function access(page: number, kind: number): number {
  const frame = beginAccess(page, kind)
  if (frame <= 0) throw new Error(`page ${page}: fault ${frame}`)
  if (kind === Access.write) store(frame, 1)
  const value = load(frame)
  endAccess()
  return value
}

function map(mm: number, pages: number, flags: number, file: number): number {
  const page = sysMmap(mm, 0, pages, flags, Placement.hint, file, 0)
  if (page < 0) throw new Error(`mmap: ${page}`)
  return page
}

function touch(mm: number, pages: number, flags: number, file: number, gate: Int32Array): number {
  const start = map(mm, pages, flags, file)
  let done = 0
  while (done < pages) {
    access(start + done, Access.write)
    done++
    if (done % CHECK_EVERY === 0 && Atomics.load(gate, 1) !== 0) break
  }
  sysMunmap(mm, start, pages)
  return done
}

function flush(mm: number, pages: number, flags: number, file: number, gate: Int32Array): number {
  const start = map(mm, pages, flags, file)
  const expected = (flags & Vm.shared) !== 0 ? 1 : 0
  let done = 0
  while (done < pages) {
    access(start + done, Access.write)
    sysMadvise(mm, start + done, 1, DONTNEED)
    if (access(start + done, Access.read) !== expected) throw new Error('wrong contents')
    done++
    if (done % CHECK_EVERY === 0 && Atomics.load(gate, 1) !== 0) break
  }
  sysMunmap(mm, start, pages)
  return done
}

function mapOnly(mm: number, pages: number): number {
  for (let i = 0; i < CHECK_EVERY; i++) sysMunmap(mm, map(mm, pages, PRIVATE, 0), pages)
  return CHECK_EVERY
}

function mapTouch(mm: number, pages: number, flags: number): number {
  for (let i = 0; i < CHECK_EVERY; i++) {
    const start = map(mm, pages, flags, 0)
    for (let page = start; page < start + pages; page++) access(page, Access.write)
    sysMunmap(mm, start, pages)
  }
  return CHECK_EVERY
}

const numbers = new Int32Array(4096)

/** Sums over a small array: nothing shared, nothing beyond the first-level cache. */
function additions(): number {
  let sum = 0
  for (let i = 0; i < numbers.length; i++) {
    sum = (sum + (numbers[i] as number) * 3) | 0
    numbers[i] = sum
  }
  return numbers.length
}

function heapLoop(mm: number): number {
  const heap = load(mm + Mm.startBrk) + 2
  for (let i = 0; i < CHECK_EVERY; i++) {
    sysBrk(mm, heap + 1, 0)
    sysBrk(mm, heap, 0)
  }
  return 2 * CHECK_EVERY
}
