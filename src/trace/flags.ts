// The names that strace prints for flags, as the numbers of the x86 system-call interface.

/** Bits and values by name, for every argument of the system calls in syscalls.ts. */
export const FLAG_NAMES: ReadonlyMap<string, number> = new Map([
  ['NULL', 0],
  ['AT_FDCWD', -100],
  ['PROT_NONE', 0],
  ['PROT_READ', 1],
  ['PROT_WRITE', 2],
  ['PROT_EXEC', 4],
  ['PROT_SEM', 8],
  ['PROT_GROWSDOWN', 0x0100_0000],
  ['PROT_GROWSUP', 0x0200_0000],
  ['MAP_FILE', 0],
  ['MAP_SHARED', 1],
  ['MAP_PRIVATE', 2],
  ['MAP_SHARED_VALIDATE', 3],
  ['MAP_DROPPABLE', 8],
  ['MAP_FIXED', 0x10],
  ['MAP_ANONYMOUS', 0x20],
  ['MAP_ANON', 0x20],
  ['MAP_32BIT', 0x40],
  ['MAP_ABOVE4G', 0x80],
  ['MAP_GROWSDOWN', 0x100],
  ['MAP_DENYWRITE', 0x800],
  ['MAP_EXECUTABLE', 0x1000],
  ['MAP_LOCKED', 0x2000],
  ['MAP_NORESERVE', 0x4000],
  ['MAP_POPULATE', 0x8000],
  ['MAP_NONBLOCK', 0x1_0000],
  ['MAP_STACK', 0x2_0000],
  ['MAP_HUGETLB', 0x4_0000],
  ['MAP_SYNC', 0x8_0000],
  ['MAP_FIXED_NOREPLACE', 0x10_0000],
  ['MAP_UNINITIALIZED', 0x400_0000],
  ['MAP_HUGE_SHIFT', 26],
  ['MAP_HUGE_2MB', 21 * 2 ** 26],
  ['MAP_HUGE_1GB', 30 * 2 ** 26],
  ['MREMAP_MAYMOVE', 1],
  ['MREMAP_FIXED', 2],
  ['MREMAP_DONTUNMAP', 4],
  ['MADV_NORMAL', 0],
  ['MADV_RANDOM', 1],
  ['MADV_SEQUENTIAL', 2],
  ['MADV_WILLNEED', 3],
  ['MADV_DONTNEED', 4],
  ['MADV_FREE', 8],
  ['MADV_REMOVE', 9],
  ['MADV_DONTFORK', 10],
  ['MADV_DOFORK', 11],
  ['MADV_MERGEABLE', 12],
  ['MADV_UNMERGEABLE', 13],
  ['MADV_HUGEPAGE', 14],
  ['MADV_NOHUGEPAGE', 15],
  ['MADV_DONTDUMP', 16],
  ['MADV_DODUMP', 17],
  ['MADV_WIPEONFORK', 18],
  ['MADV_KEEPONFORK', 19],
  ['MADV_COLD', 20],
  ['MADV_PAGEOUT', 21],
  ['MADV_POPULATE_READ', 22],
  ['MADV_POPULATE_WRITE', 23],
  ['MADV_DONTNEED_LOCKED', 24],
  ['MADV_COLLAPSE', 25],
  ['MADV_HWPOISON', 100],
  ['MADV_SOFT_OFFLINE', 101],
  ['MADV_GUARD_INSTALL', 102],
  ['MADV_GUARD_REMOVE', 103],
  ['CLONE_NEWTIME', 0x80],
  ['CLONE_VM', 0x100],
  ['CLONE_FS', 0x200],
  ['CLONE_FILES', 0x400],
  ['CLONE_SIGHAND', 0x800],
  ['CLONE_PIDFD', 0x1000],
  ['CLONE_PTRACE', 0x2000],
  ['CLONE_VFORK', 0x4000],
  ['CLONE_PARENT', 0x8000],
  ['CLONE_THREAD', 0x1_0000],
  ['CLONE_NEWNS', 0x2_0000],
  ['CLONE_SYSVSEM', 0x4_0000],
  ['CLONE_SETTLS', 0x8_0000],
  ['CLONE_PARENT_SETTID', 0x10_0000],
  ['CLONE_CHILD_CLEARTID', 0x20_0000],
  ['CLONE_DETACHED', 0x40_0000],
  ['CLONE_UNTRACED', 0x80_0000],
  ['CLONE_CHILD_SETTID', 0x100_0000],
  ['CLONE_NEWCGROUP', 0x200_0000],
  ['CLONE_NEWUTS', 0x400_0000],
  ['CLONE_NEWIPC', 0x800_0000],
  ['CLONE_NEWUSER', 0x1000_0000],
  ['CLONE_NEWPID', 0x2000_0000],
  ['CLONE_NEWNET', 0x4000_0000],
  ['CLONE_IO', 0x8000_0000],
  ['CLONE_CLEAR_SIGHAND', 2 ** 32],
  ['CLONE_INTO_CGROUP', 2 ** 33],
  ['SIGCHLD', 17],
])

/**
 * A number as strace or perf print it: decimal, hexadecimal, octal, names joined by `|`, `a<<b`, with C comments, a
 * `<path>` behind a descriptor. Negative for the top of the 64-bit range (`0xffffffffffffffff` and, for a descriptor,
 * `0xffffffff` are left to the caller). NaN when it is none of these. `unknown` is told names that are not in the table.
 */
export function readNumber(text: string, unknown?: (name: string) => void): number {
  const plain = stripNotes(text)
  if (plain === '') return Number.NaN
  const single = readInteger(plain)
  if (!Number.isNaN(single)) return single
  let sum = 0
  for (const part of plain.split('|')) {
    const term = part.trim()
    const shift = term.indexOf('<<')
    const value = shift < 0 ? term1(term) : term1(term.slice(0, shift)) * 2 ** term1(term.slice(shift + 2))
    if (Number.isNaN(value)) {
      if (!/^[A-Z][A-Z0-9_]*$/.test(term)) return Number.NaN
      unknown?.(term)
    } else sum += value
  }
  return sum
}

function term1(text: string): number {
  const value = readInteger(text.trim())
  return Number.isNaN(value) ? (FLAG_NAMES.get(text.trim()) ?? Number.NaN) : value
}

/** A decimal, octal or hexadecimal integer of up to 64 bits; the top half of the 64-bit range reads as negative. */
export function readInteger(text: string): number {
  if (text.length > 24) return Number.NaN
  if (/^-?[0-9]+$/.test(text)) return text.length > 1 && text[0] === '0' ? Number.parseInt(text, 8) : +text
  if (!/^0x[0-9a-f]+$/i.test(text)) return Number.NaN
  return readHex(text, 2, text.length)
}

/** The hexadecimal digits `text[from..end)` as a number; sixteen digits from 8000… up read as negative. */
export function readHex(text: string, from: number, end: number): number {
  if (end - from === 16 && text.charCodeAt(from) > 55) {
    const high = Number.parseInt(text.slice(from, from + 8), 16) - 2 ** 32
    return high * 2 ** 32 + Number.parseInt(text.slice(from + 8, end), 16)
  }
  return Number.parseInt(text.slice(from, end), 16)
}

// `3</etc/passwd>` and `0x22` with a C comment without what explains them.
function stripNotes(text: string): string {
  const comment = text.indexOf('/*')
  if (comment >= 0) text = text.slice(0, comment)
  const angle = text.indexOf('<')
  if (angle > 0 && text[angle + 1] !== '<' && /^-?[0-9A-Z_]+$/.test(text.slice(0, angle))) text = text.slice(0, angle)
  return text.trim()
}
