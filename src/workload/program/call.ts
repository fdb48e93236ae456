// A recorded system call as an operation, and what it says about file descriptors.
import type { SyscallEvent } from '../../trace/events.ts'
import { mappedFile, setDescriptor } from './files.ts'
import { emptyOperation, type Operation } from './program.ts'
import type { Collector, RawTask } from './raw.ts'

/** Does this call make a task? */
export function isClone(name: string): boolean {
  return name === 'clone' || name === 'clone3' || name === 'fork' || name === 'vfork'
}

/** Can a call of this name end this operation? */
export function matches(operation: Operation, name: string): boolean {
  switch (operation.kind) {
    case 'fork':
      return isClone(name)
    case 'exec':
      return name === 'execve' || name === 'execveat'
    case 'exit':
      return name === 'exit' || name === 'exit_group'
    case 'mprotect':
      return name === 'mprotect' || name === 'pkey_mprotect'
    default:
      return operation.kind === name
  }
}

/** The operation that a call begins, undefined when it is none. */
export function callOperation(to: Collector, task: RawTask, event: SyscallEvent): Operation | undefined {
  const { name, args } = event
  const arg = (at: number): number => {
    const value = args[at]
    return value !== undefined && value >= 0 ? value : 0
  }
  switch (name) {
    case 'mmap': {
      const operation = emptyOperation('mmap', task.index)
      operation.address = operation.newAddress = arg(0)
      operation.length = arg(1)
      operation.prot = arg(2)
      operation.flags = arg(3)
      operation.offset = arg(5)
      const fd = args[4] ?? -1
      if (fd >= 0 && (operation.flags & 0x20) === 0) {
        const owner = task.pid >= 0 ? task.pid : task.tid
        operation.file = mappedFile(to.files, task.descriptors, owner, fd, event.path, operation.flags, operation.offset, operation.length)
      }
      return operation
    }
    case 'munmap':
    case 'mprotect':
    case 'pkey_mprotect':
    case 'madvise': {
      const operation = emptyOperation(name === 'pkey_mprotect' ? 'mprotect' : name, task.index)
      operation.address = arg(0)
      operation.length = arg(1)
      if (name === 'madvise') operation.advice = arg(2)
      else operation.prot = arg(2)
      return operation
    }
    case 'mremap': {
      const operation = emptyOperation('mremap', task.index)
      operation.address = arg(0)
      operation.length = arg(1)
      operation.newLength = arg(2)
      operation.flags = arg(3)
      operation.newAddress = (operation.flags & 2) !== 0 ? arg(4) : 0
      return operation
    }
    case 'brk': {
      const operation = emptyOperation('brk', task.index)
      operation.address = arg(0)
      return operation
    }
    case 'execve':
    case 'execveat':
      return emptyOperation('exec', task.index)
    case 'fork':
    case 'vfork':
    case 'clone':
    case 'clone3': {
      const operation = emptyOperation('fork', task.index)
      operation.flags = name === 'fork' ? 17 : name === 'vfork' ? 0x4100 : -1
      const flags = args[0]
      // clone3's first argument is a pointer unless strace decoded it.
      if ((name === 'clone' || (name === 'clone3' && to.timed)) && flags !== undefined && flags >= 0) operation.flags = flags
      return operation
    }
    case 'exit':
    case 'exit_group':
    case 'close':
      return undefined
    case 'shmat':
    case 'shmdt':
      to.report.notReplayed[name] = (to.report.notReplayed[name] ?? 0) + 1
      return undefined
    default:
      return undefined
  }
}

/** Follows open, dup and close. */
export function descriptorCall(task: RawTask, event: SyscallEvent): void {
  const table = task.descriptors
  switch (event.name) {
    case 'open':
    case 'openat':
    case 'openat2':
    case 'creat':
    case 'memfd_create':
      // A memfd's name is not its identity.
      if (event.result >= 0) setDescriptor(table, event.result, { path: event.name === 'memfd_create' ? '' : event.path, file: -1 })
      return
    case 'close':
      if (event.phase === 'whole' && event.args[0]! >= 0) setDescriptor(table, event.args[0]!, undefined)
      return
    case 'dup':
    case 'dup2':
    case 'dup3':
      if (event.phase === 'whole' && event.result >= 0) setDescriptor(table, event.result, table.open.get(event.args[0]!))
  }
}
