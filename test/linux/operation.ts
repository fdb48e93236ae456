// The operations of a list, the answers to them, and the machine they run on: what the C driver, the
// sequential oracle and any other subject have in common. Addresses are bytes relative to the region.

/** The region and the files every subject offers. driver.c has the same numbers. */
export const REGION = {
  pageShift: 12,
  pages: 64,
  /** Real address of the region in the driver; others may put it elsewhere. */
  base: 0x1_0000_0000,
  /** The heap begins at this page of the region. */
  brkPage: 44,
} as const

/** The two inodes: size in bytes; every even page holds `firstStamp + page`, odd pages are zero. */
export const OBJECTS = {
  A: { size: 20 * 4096 + 100, firstStamp: 0x7000_0000 },
  B: { size: 10 * 4096, firstStamp: 0x7001_0000 },
} as const

/** What `file` n of an mmap is. 0 and 1 are two opens of the same inode. A higher number is not open. */
export const FILES: readonly { object: keyof typeof OBJECTS; readable: boolean; writable: boolean }[] = [
  { object: 'A', readable: true, writable: true },
  { object: 'A', readable: true, writable: true },
  { object: 'A', readable: true, writable: false },
  { object: 'B', readable: true, writable: true },
  { object: 'B', readable: false, writable: true },
]

/** Stands for the address NULL, since 0 is the region's first byte. */
export const NULL = -1

/** One operation. `process` is 0 or a number that an earlier fork gave. */
export type Operation =
  | { kind: 'mmap'; process: number; address: number; length: number; prot: number; flags: number; file: number; offset: number }
  | { kind: 'munmap'; process: number; address: number; length: number }
  | { kind: 'mprotect'; process: number; address: number; length: number; prot: number }
  | { kind: 'madvise'; process: number; address: number; length: number; advice: number }
  | { kind: 'mremap'; process: number; address: number; oldLength: number; newLength: number; flags: number; newAddress: number }
  | { kind: 'brk'; process: number; address: number }
  | { kind: 'fork'; process: number; child: number }
  | { kind: 'exit'; process: number }
  | { kind: 'write'; process: number; address: number; stamp: number }
  | { kind: 'read'; process: number; address: number }

/** One line of /proc/PID/maps, in pages relative to the region. */
export interface RegionLine {
  readonly start: number
  readonly end: number
  /** As Linux prints it: `rwxp` with `-` for what is missing, `s` for shared. */
  readonly perms: string
  readonly offset: number
  /** 'A', 'B', any other identity for shared anonymous memory, '-' for private anonymous memory. */
  readonly object: string
}

/** What one operation did. */
export interface Answer {
  /** Relative address for mmap, mremap and brk; the stamp for a read; else 0; or a negative errno. */
  readonly result: number
  /** A read after MADV_FREE may also see this. */
  readonly otherwise?: number | undefined
  /** Set when the access raised a signal instead; `address` relative, `code` is si_code. */
  readonly fault?: { readonly signal: 'SIGSEGV' | 'SIGBUS'; readonly code: number; readonly address: number }
  /** The mappings of the acting process afterwards; empty after its exit. */
  readonly maps: readonly RegionLine[]
}

/** Anything that can perform a list from an empty region and answer each operation. */
export interface Subject {
  readonly name: string
  run(list: readonly Operation[]): Promise<Answer[]> | Answer[]
  close?(): Promise<void> | void
}

/** The C driver's line for an operation. */
export function encode(op: Operation): string {
  const p = op.process
  switch (op.kind) {
    case 'mmap':
      return `m ${p} ${op.address} ${op.length} ${op.prot} ${op.flags} ${op.file} ${op.offset}`
    case 'munmap':
      return `u ${p} ${op.address} ${op.length}`
    case 'mprotect':
      return `p ${p} ${op.address} ${op.length} ${op.prot}`
    case 'madvise':
      return `a ${p} ${op.address} ${op.length} ${op.advice}`
    case 'mremap':
      return `r ${p} ${op.address} ${op.oldLength} ${op.newLength} ${op.flags} ${op.newAddress}`
    case 'brk':
      return `b ${p} ${op.address}`
    case 'fork':
      return `f ${p} ${op.child}`
    case 'exit':
      return `x ${p}`
    case 'write':
      return `w ${p} ${op.address} ${op.stamp}`
    case 'read':
      return `l ${p} ${op.address}`
  }
}

/** The operation of a driver line; throws on a line that is none. */
export function decode(line: string): Operation {
  const [kind, ...rest] = line.trim().split(' ')
  const [process = 0, a = 0, b = 0, c = 0, d = 0, e = 0, f = 0] = rest.map(Number)
  switch (kind) {
    case 'm':
      return { kind: 'mmap', process, address: a, length: b, prot: c, flags: d, file: e, offset: f }
    case 'u':
      return { kind: 'munmap', process, address: a, length: b }
    case 'p':
      return { kind: 'mprotect', process, address: a, length: b, prot: c }
    case 'a':
      return { kind: 'madvise', process, address: a, length: b, advice: c }
    case 'r':
      return { kind: 'mremap', process, address: a, oldLength: b, newLength: c, flags: d, newAddress: e }
    case 'b':
      return { kind: 'brk', process, address: a }
    case 'f':
      return { kind: 'fork', process, child: a }
    case 'x':
      return { kind: 'exit', process }
    case 'w':
      return { kind: 'write', process, address: a, stamp: b }
    case 'l':
      return { kind: 'read', process, address: a }
    default:
      throw new SyntaxError(`not an operation: ${line}`)
  }
}
