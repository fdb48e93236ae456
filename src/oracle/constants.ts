// Numbers of the Linux user interface and of VMA flags that the sequential model speaks in.
// They are x86_64's, which are also the generic ones except where a name says otherwise.

/** `prot` bits of mmap and mprotect. */
export const PROT_NONE = 0
export const PROT_READ = 1
export const PROT_WRITE = 2
export const PROT_EXEC = 4

/** `flags` bits of mmap. */
export const MAP_SHARED = 0x01
export const MAP_PRIVATE = 0x02
export const MAP_SHARED_VALIDATE = 0x03
export const MAP_TYPE = 0x0f
export const MAP_FIXED = 0x10
export const MAP_ANONYMOUS = 0x20
export const MAP_NORESERVE = 0x4000
export const MAP_FIXED_NOREPLACE = 0x100000

/** `flags` bits of mremap. */
export const MREMAP_MAYMOVE = 1
export const MREMAP_FIXED = 2
export const MREMAP_DONTUNMAP = 4

/** `advice` of madvise, as far as the model knows it. */
export const MADV_DONTNEED = 4
export const MADV_FREE = 8
export const MADV_POPULATE_READ = 22
export const MADV_POPULATE_WRITE = 23

/** Bits of `vm_flags`. Two VMAs merge only if all of these agree. */
export const VM_READ = 0x1
export const VM_WRITE = 0x2
export const VM_EXEC = 0x4
export const VM_SHARED = 0x8
export const VM_MAYREAD = 0x10
export const VM_MAYWRITE = 0x20
export const VM_MAYEXEC = 0x40
export const VM_MAYSHARE = 0x80
/** Memory of a device: never merged, grown or given back. */
export const VM_PFNMAP = 0x400
export const VM_ACCOUNT = 0x100000
export const VM_NORESERVE = 0x200000
/** What mprotect may change. */
export const VM_ACCESS_FLAGS = VM_READ | VM_WRITE | VM_EXEC

/** Error numbers; calls return them negated. */
export const EPERM = 1
export const EBADF = 9
export const ENOMEM = 12
export const EACCES = 13
export const EFAULT = 14
export const EEXIST = 17
export const ENODEV = 19
export const EINVAL = 22
export const EOVERFLOW = 75
export const EOPNOTSUPP = 95

/** Signals and their `si_code`. */
export const SIGBUS = 7
export const SIGSEGV = 11
export const SEGV_MAPERR = 1
export const SEGV_ACCERR = 2
export const BUS_ADRERR = 2
