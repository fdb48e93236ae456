// Linux's numbers at the system-call boundary: protections, mapping flags, advice, mremap flags, error names.

/** PROT_ bits of mmap and mprotect. */
export const Prot = Object.freeze({ none: 0, read: 1, write: 2, exec: 4 })

/** MAP_ bits of mmap. */
export const MapFlag = Object.freeze({
  shared: 0x1,
  private: 0x2,
  sharedValidate: 0x3,
  type: 0xf,
  fixed: 0x10,
  anonymous: 0x20,
  noReserve: 0x4000,
  populate: 0x8000,
  fixedNoreplace: 0x100000,
})

/** MADV_ values. */
export const Madvise = Object.freeze({ dontneed: 4, free: 8, populateRead: 22, populateWrite: 23 })

/** MREMAP_ bits. */
export const Mremap = Object.freeze({ mayMove: 1, fixed: 2, dontUnmap: 4 })

const names: Readonly<Record<number, string>> = Object.freeze({
  1: 'EPERM',
  9: 'EBADF',
  11: 'EAGAIN',
  12: 'ENOMEM',
  13: 'EACCES',
  14: 'EFAULT',
  16: 'EBUSY',
  17: 'EEXIST',
  22: 'EINVAL',
  75: 'EOVERFLOW',
  95: 'EOPNOTSUPP',
})

/** The name of a (positive) errno. */
export function errnoName(errno: number): string {
  return names[errno] ?? `errno ${errno}`
}
