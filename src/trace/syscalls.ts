// The system calls that say something about memory or about tasks; all others are counted and left out.

/** System calls whose arguments and results are reported. */
export const MEMORY_SYSCALLS: ReadonlySet<string> = new Set([
  'mmap',
  'munmap',
  'mprotect',
  'pkey_mprotect',
  'madvise',
  'mremap',
  'brk',
  'shmat',
  'shmdt',
  'clone',
  'clone3',
  'fork',
  'vfork',
  'execve',
  'execveat',
  'exit',
  'exit_group',
  'open',
  'openat',
  'openat2',
  'creat',
  'memfd_create',
  'close',
  'dup',
  'dup2',
  'dup3',
])

/** Other names for them. `mmap2` and `old_mmap` are 32-bit ones: strace prints them with byte offsets as well. */
export function syscallName(name: string): string {
  switch (name) {
    case 'mmap2':
    case 'old_mmap':
    case 'mmap_pgoff':
      return 'mmap'
    case '_exit':
      return 'exit'
    default:
      return name
  }
}

/** x86_64 numbers, for `raw_syscalls:sys_enter` and `sys_exit`. */
export const X86_64_SYSCALLS: ReadonlyMap<number, string> = new Map([
  [2, 'open'],
  [3, 'close'],
  [9, 'mmap'],
  [10, 'mprotect'],
  [11, 'munmap'],
  [12, 'brk'],
  [25, 'mremap'],
  [28, 'madvise'],
  [30, 'shmat'],
  [32, 'dup'],
  [33, 'dup2'],
  [56, 'clone'],
  [57, 'fork'],
  [58, 'vfork'],
  [59, 'execve'],
  [60, 'exit'],
  [67, 'shmdt'],
  [85, 'creat'],
  [231, 'exit_group'],
  [257, 'openat'],
  [292, 'dup3'],
  [319, 'memfd_create'],
  [322, 'execveat'],
  [329, 'pkey_mprotect'],
  [435, 'clone3'],
  [437, 'openat2'],
])
