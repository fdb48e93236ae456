// Short lists written by hand: one per rule that generated lists reach too rarely to be relied on. They are
// compared like all others; nothing here says what the answer is.

import { MADV_DONTNEED, MADV_FREE, MADV_POPULATE_READ, MADV_POPULATE_WRITE } from '../../src/oracle/constants.ts'
import { NULL, type Operation } from './operation.ts'

const PAGE = 4096
const R = 1
const RW = 3
const PRIVATE = 0x32 // with FIXED and ANONYMOUS
const PRIVATE_FILE = 0x12
const SHARED_FILE = 0x11
const SHARED = 0x31
const MAYMOVE = 1
const MOVE_TO = 3
const DONTUNMAP = 5
const DONTUNMAP_TO = 7

function map(page: number, pages: number, prot = RW, flags = PRIVATE, file = -1, offset = 0, process = 0): Operation {
  const address = page < 0 ? NULL : page * PAGE
  return { kind: 'mmap', process, address, length: pages * PAGE, prot, flags, file, offset: offset * PAGE }
}

function unmap(page: number, pages: number, process = 0): Operation {
  return { kind: 'munmap', process, address: page * PAGE, length: pages * PAGE }
}

function protect(page: number, pages: number, prot: number, process = 0): Operation {
  return { kind: 'mprotect', process, address: page * PAGE, length: pages * PAGE, prot }
}

function advise(page: number, pages: number, advice: number, process = 0): Operation {
  return { kind: 'madvise', process, address: page * PAGE, length: pages * PAGE, advice }
}

function remap(page: number, pages: number, newPages: number, flags: number, to = NULL, process = 0): Operation {
  const newAddress = to === NULL ? NULL : to * PAGE
  return { kind: 'mremap', process, address: page * PAGE, oldLength: pages * PAGE, newLength: newPages * PAGE, flags, newAddress }
}

function write(page: number, stamp: number, process = 0): Operation {
  return { kind: 'write', process, address: page * PAGE, stamp }
}

function read(page: number, process = 0): Operation {
  return { kind: 'read', process, address: page * PAGE }
}

function fork(child: number, process = 0): Operation {
  return { kind: 'fork', process, child }
}

function exit(process: number): Operation {
  return { kind: 'exit', process }
}

/** `page` may be NULL, which asks for the present break. */
function brk(page: number, process = 0): Operation {
  return { kind: 'brk', process, address: page === NULL ? NULL : page * PAGE }
}

/** The lists by name. */
export const CASES: Readonly<Record<string, readonly Operation[]>> = {
  'a move back next to untouched memory hands it the anon_vma (left)': [
    ...[map(20, 2), write(20, 1), remap(20, 2, 2, MOVE_TO, 40), map(18, 2), remap(40, 2, 2, MOVE_TO, 20)],
    ...[protect(18, 1, R), map(17, 1, R), write(19, 2), protect(18, 1, RW), read(20)],
  ],
  'a move back next to untouched memory hands it the anon_vma (right)': [
    ...[map(20, 2), write(20, 1), remap(20, 2, 2, MOVE_TO, 40), map(22, 2), remap(40, 2, 2, MOVE_TO, 20)],
    ...[protect(23, 1, R), map(24, 1, R), write(22, 2), protect(23, 1, RW), read(20)],
  ],
  'a move back between two untouched neighbours': [
    ...[map(20, 2), write(21, 1), remap(20, 2, 2, MOVE_TO, 40), map(18, 2), map(22, 2), remap(40, 2, 2, MOVE_TO, 20)],
    ...[protect(18, 1, R), protect(23, 1, R), read(21)],
  ],
  'a forked mapping moved back next to untouched memory stays apart': [
    ...[map(20, 2), write(20, 1), fork(1), remap(20, 2, 2, MOVE_TO, 40, 1), map(18, 2, RW, PRIVATE, -1, 0, 1)],
    ...[remap(40, 2, 2, MOVE_TO, 20, 1), read(20, 1), write(18, 3, 1), protect(18, 4, R, 1), protect(18, 4, RW, 1)],
  ],
  'a forked mapping grows in place and swallows an untouched neighbour': [
    ...[map(20, 2), write(20, 1), fork(1), map(24, 2, RW, PRIVATE, -1, 0, 1), remap(20, 2, 4, 0, NULL, 1)],
    ...[protect(22, 1, R, 1), protect(22, 1, RW, 1)],
  ],
  'growth in place takes the anon_vma of the swallowed neighbour': [
    ...[map(20, 2), map(24, 2), write(24, 1), remap(20, 2, 4, 0), protect(20, 1, R), map(19, 1, R)],
  ],
  'a write beyond the end of a private file prepares the anon_vma': [
    ...[map(10, 2, RW, PRIVATE_FILE, 0, 20), map(12, 2, RW, PRIVATE_FILE, 0, 24), write(11, 1), protect(11, 1, R)],
    ...[write(13, 1), map(30, 2, RW, PRIVATE_FILE, 3, 8), map(33, 1, RW, PRIVATE_FILE, 3, 11), write(33, 1), write(30, 2)],
    ...[map(32, 1, RW, PRIVATE_FILE, 3, 10), map(31, 1, R, PRIVATE_FILE, 3, 9), protect(31, 1, RW)],
  ],
  'POPULATE_WRITE beyond the end prepares the anon_vma': [
    ...[map(30, 2, RW, PRIVATE_FILE, 3, 8), map(33, 1, RW, PRIVATE_FILE, 3, 11), advise(33, 1, MADV_POPULATE_WRITE), write(30, 2)],
    ...[map(32, 1, RW, PRIVATE_FILE, 3, 10), map(31, 1, R, PRIVATE_FILE, 3, 9), protect(31, 1, RW)],
  ],
  'POPULATE_WRITE cuts a private file page off from the file, reading does not': [
    ...[map(10, 2, RW, PRIVATE_FILE, 0, 2), map(20, 2, RW, SHARED_FILE, 0, 2), advise(10, 1, MADV_POPULATE_WRITE)],
    ...[advise(11, 1, MADV_POPULATE_READ), write(20, 7), write(21, 8), read(10), read(11), advise(10, 2, MADV_DONTNEED), read(10)],
  ],
  'a private file page seen by parent and child': [
    ...[map(10, 2, RW, PRIVATE_FILE, 0, 2), read(10), fork(1), map(20, 2, RW, SHARED_FILE, 0, 2, 1), write(20, 7, 1), read(10)],
    ...[write(10, 8, 1), read(10), read(10, 1), write(10, 9), read(10), read(10, 1), read(20, 1)],
  ],
  'copy on write both ways over two generations': [
    ...[map(10, 1), write(10, 1), fork(1), fork(2, 1), write(10, 2, 1), read(10), read(10, 2), write(10, 3), read(10, 1)],
    ...[read(10, 2), write(10, 4, 2), read(10), read(10, 1), read(10, 2), exit(1), read(10, 2), fork(3, 2)],
    ...[map(11, 1, RW, PRIVATE, -1, 0, 3), write(10, 5, 3), map(9, 1, RW, PRIVATE, -1, 0, 3), read(10, 2)],
  ],
  'MADV_FREE beside a fork': [
    ...[map(10, 2), write(10, 1), write(11, 2), fork(1), advise(10, 2, MADV_FREE), read(10), read(10, 1), write(10, 3), read(10)],
    ...[advise(10, 2, MADV_DONTNEED), read(10), read(11), read(11, 1)],
  ],
  'shared anonymous memory keeps its size when it grows': [
    ...[map(10, 2, RW, SHARED), write(11, 5), remap(10, 2, 4, 0), write(12, 1), read(11), remap(10, 0, 3, MAYMOVE), read(63)],
    ...[remap(10, 0, 2, MOVE_TO, 30), write(30, 6), read(10), fork(1), write(31, 7, 1), read(11), remap(11, 0, 1, DONTUNMAP_TO, 40)],
  ],
  'two opens of one inode never merge, one open does': [
    ...[
      map(10, 1, RW, SHARED_FILE, 0, 0),
      map(11, 1, RW, SHARED_FILE, 1, 1),
      map(12, 1, RW, SHARED_FILE, 0, 2),
      map(13, 1, RW, SHARED_FILE, 0, 3),
    ],
    ...[
      write(10, 3),
      write(11, 4),
      map(20, 2, R, SHARED_FILE, 2, 0),
      protect(20, 1, RW),
      read(20),
      read(21),
      map(22, 1, RW, SHARED_FILE, 2),
    ],
  ],
  'several VMAs moved at once, with a gap': [
    ...[map(10, 2), write(10, 1), map(13, 2, R), map(15, 1, RW, SHARED), write(15, 2), map(41, 3, R), remap(10, 6, 6, MOVE_TO, 40)],
    ...[read(40), read(45), read(42), remap(39, 6, 6, MOVE_TO, 20), remap(40, 6, 6, DONTUNMAP_TO, 20), read(40), read(20), read(25)],
  ],
  'several VMAs, failing in the middle': [
    ...[map(10, 2), map(12, 2, R), remap(10, 4, 6, MOVE_TO, 30), remap(10, 4, 3, MOVE_TO, 30), remap(10, 4, 2, MOVE_TO, 30)],
    ...[map(30, 2), remap(12, 0, 2, MOVE_TO, 20), remap(9, 3, 3, MOVE_TO, 20), remap(10, 4, 4, DONTUNMAP)],
  ],
  'DONTUNMAP of all and of a part': [
    ...[
      map(10, 4),
      write(10, 1),
      write(13, 2),
      remap(11, 2, 2, DONTUNMAP),
      remap(10, 4, 4, DONTUNMAP_TO, 30),
      read(10),
      read(30),
      read(33),
    ],
    ...[protect(10, 1, R), map(9, 1, R), map(14, 1), map(34, 1), map(29, 1)],
  ],
  'charging follows mprotect': [
    ...[map(10, 2), protect(10, 2, R), map(12, 2, R), protect(10, 4, RW), write(10, 1), protect(10, 4, R), map(14, 2, R)],
    ...[
      map(20, 2, R, PRIVATE_FILE, 0),
      protect(20, 1, RW),
      protect(20, 1, R),
      map(30, 2, RW, 0x4032),
      protect(30, 1, R),
      protect(30, 1, RW),
    ],
  ],
  'mprotect stops at a hole and keeps what it did': [
    ...[map(10, 2), map(14, 2), protect(10, 8, R), protect(12, 4, R), protect(9, 4, RW), map(16, 1, R, SHARED_FILE, 2), protect(14, 3, RW)],
  ],
  'an anon_vma is borrowed from above before below': [
    ...[map(10, 3), write(10, 1), protect(11, 1, R), write(12, 2), unmap(11, 1), map(11, 1), write(11, 3), protect(10, 3, R)],
    ...[map(20, 1), write(20, 1), map(22, 1), write(22, 1), map(21, 1, R), protect(21, 1, 7), write(21, 3), protect(21, 1, RW)],
  ],
  'the heap': [
    ...[brk(46), write(44, 1), brk(48), map(43, 1), map(50, 1), brk(49), brk(50), brk(44), brk(46), map(47, 1, R), brk(47), brk(40)],
    ...[fork(1), brk(45 + 7 / PAGE, 1), brk(NULL, 1), brk(46)],
  ],
  placement: [
    ...[map(NULL, 4, RW, 0x22), map(NULL, 4, R, 0x22), unmap(58, 1), map(NULL, 2, RW, 0x22), map(NULL, 1, RW, 0x22), map(58, 1, RW, 0x22)],
    ...[map(20, 3, RW, 0x22), map(22, 3, RW, 0x22), map(19, 1, RW, 0x100022), map(19, 2, RW, 0x100022), map(NULL, 60, RW, 0x22)],
    ...[remap(60, 4, 6, MAYMOVE), remap(60, 1, 3, 0), remap(63, 1, 2, MAYMOVE)],
  ],
}
