// What each CPU does in stress.test.ts: maps, writes, protects, reads back, forks and unmaps memory of its own, beside one
// region that all CPUs fault in and empty. Plain JavaScript, because Workers load it as it is.

import * as kernel from '../../dist/kernel/kernel.js'
import { words } from '../../dist/kernel/machine/heap.js'

const RW = 0x1 | 0x2 | 0x70 | 0x100000
const READ = 0
const WRITE = 1
const ACCERR = -2

/** A space that all CPUs share, with 64 pages mapped in it. */
export function setUp() {
  const mm = kernel.sysNewMm()
  return { mm, shared: kernel.sysMmap(mm, 0, 64, RW, 0, 0, 0) }
}

function write(page, value, word = 0) {
  const frame = kernel.beginAccess(page, WRITE)
  if (frame < 0) return frame
  words[frame + word] = value
  kernel.endAccess()
  return 1
}

function read(page, word = 0) {
  const frame = kernel.beginAccess(page, READ)
  if (frame < 0) return Number.NaN
  const value = words[frame + word]
  kernel.endAccess()
  return value
}

function must(condition, what) {
  if (!condition) throw new Error(what)
}

/** One CPU's share. Returns how many pages it wrote. */
export function stress(cpu, { mm, shared, rounds }) {
  kernel.sysSwitchMm(mm)
  let state = cpu + 1
  const random = (below) => {
    state = (Math.imul(state, 1103515245) + 12345) | 0
    return (state >>> 8) % below
  }
  let written = 0
  for (let round = 0; round < rounds; round++) {
    const pages = 1 + random(20)
    const stamp = (page) => (cpu << 24) ^ (round * 32 + page)
    const start = kernel.sysMmap(mm, 0, pages, RW, 0, 0, 0)
    must(start > 0, `mmap gave ${start}`)
    for (let page = 0; page < pages; page++, written++) must(write(start + page, stamp(page)) === 1, 'a write was refused')
    const from = random(pages)
    must(kernel.sysMprotect(mm, start + from, 1 + random(pages - from), 1) === 0, 'mprotect failed')
    for (let page = 0; page < pages; page++) must(read(start + page) === stamp(page), `page ${page} lost its stamp`)
    must(write(start + from, 1) === ACCERR, 'a write to a read-only page went through')
    must(write(shared + random(64), round, 1 + cpu) === 1, 'the shared region was refused')
    if (random(8) === 0) must(kernel.sysMadvise(mm, shared + random(60), 4, 4) === 0, 'madvise failed')
    if (random(32) === 0) forkAndWrite(mm, start, stamp)
    if (from > 0) must(kernel.sysMunmap(mm, start, from) === 0, 'munmap failed')
    must(kernel.sysMunmap(mm, start + from, pages - from) === 0, 'munmap failed')
  }
  kernel.sysSwitchMm(0)
  kernel.enterKernel()
  kernel.rcuBarrier()
  kernel.exitKernel()
  return written
}

/** A child sees the parent's page and does not change it. */
function forkAndWrite(mm, start, stamp) {
  const child = kernel.sysFork(mm)
  must(child > 0, 'fork failed')
  kernel.sysSwitchMm(child)
  must(read(start) === stamp(0), "the child does not see its parent's page")
  must(write(start, -1) === 1 || write(start, -1) === ACCERR, 'the child may not write')
  kernel.sysSwitchMm(mm)
  kernel.sysExit(child)
  must(read(start) === stamp(0), "the child changed its parent's page")
}

/** Ends the shared space. */
export function finish(_cpu, { mm }) {
  kernel.sysExit(mm)
  kernel.enterKernel()
  kernel.rcuBarrier()
  kernel.exitKernel()
}

export function throws() {
  throw new RangeError('a job that fails')
}

export function dies() {
  process.exit(3)
}
