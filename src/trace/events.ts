// What a recording says, whatever made it: small plain events in the order of the file.
// Addresses and lengths are bytes, exact up to 2^53; times are microseconds on the recorder's own clock.

/** Where an event comes from. `NaN` and -1 stand for what the recording does not say. */
export interface EventPlace {
  /** Thread id (0: the only task of a recording without ids). */
  task: number
  /** Thread group (what users call the process), -1 when not recorded. */
  process: number
  /** Command name, '' when not recorded. */
  comm: string
  /** CPU number, -1 when not recorded. */
  cpu: number
  /** Microseconds, NaN when not recorded. */
  time: number
  /** Line of the file, from 1. */
  line: number
}

/** A page fault. One that ends in SIGSEGV looks the same. */
export interface FaultEvent extends EventPlace {
  kind: 'fault'
  address: number
  write: boolean
  /** The fault was an instruction fetch. */
  exec: boolean
  /** The faulting code ran in user mode; false is the kernel touching user memory (or its own). */
  user: boolean
  /** The page was present: a protection fault, copy-on-write for example. */
  present: boolean
}

/**
 * A system call. `enter` carries arguments, `exit` a result, `whole` both. Arguments are in the order of the system call's
 * manual page; flags and protections are numbers; -1 is a file descriptor of -1; clone and clone3 give their flags first.
 */
export interface SyscallEvent extends EventPlace {
  kind: 'syscall'
  phase: 'enter' | 'exit' | 'whole'
  name: string
  /** NaN for an argument that cannot be read as a number. Empty for `exit`. */
  args: number[]
  /** The result when it succeeded, NaN when unknown (or not yet known) or failed. */
  result: number
  /** Linux errno, 0 when it did not fail or is unknown, -1 for a name that is not known. */
  errno: number
  /** A file name among the arguments (open, execve), or the one the recorder printed beside a file descriptor. */
  path: string
  /** Microseconds spent inside, NaN when unknown. */
  duration: number
}

/** A new task, seen by its parent. */
export interface ForkEvent extends EventPlace {
  kind: 'fork'
  child: number
  /** Thread group of the child, -1 when not recorded. */
  childProcess: number
  /** CLONE_* flags, -1 when not recorded. */
  flags: number
}

/** A new program image; `oldTask` differs from the task where a thread other than the leader called exec. */
export interface ExecEvent extends EventPlace {
  kind: 'exec'
  path: string
  oldTask: number
}

/** A task is gone. `last` says whether it was its process' last one, where recorded. */
export interface ExitEvent extends EventPlace {
  kind: 'exit'
  last: boolean | undefined
}

/** mmap_lock was asked for, acquired or released. */
export interface LockEvent extends EventPlace {
  kind: 'lock'
  action: 'start' | 'acquired' | 'released'
  /** The address space, as the kernel's pointer in text. */
  mm: string
  write: boolean
  /** False for an acquisition that failed (a trylock). */
  success: boolean
}

/** A TLB flush; `pages` is -1 for everything. */
export interface FlushEvent extends EventPlace {
  kind: 'flush'
  pages: number
  reason: string
}

export type TraceEvent = FaultEvent | SyscallEvent | ForkEvent | ExecEvent | ExitEvent | LockEvent | FlushEvent

/** The recordings that can be replayed. */
export type RecordingFormat = 'perf script' | 'strace'

/** What was read and what was not. Grows while the events are consumed; complete when they have ended. */
export interface ReadingReport {
  /** The file, as the user named it. */
  name: string
  format: RecordingFormat
  gzip: boolean
  /** Bytes of text (after decompression). */
  bytes: number
  lines: number
  /** Whether intervals can be built from the times; with `coarse` ones, or none, only the order of the lines counts. */
  clock: 'exact' | 'coarse' | 'none'
  /** Events given to the consumer, by the recording's name for them. */
  events: Record<string, number>
  /** Lines that were understood but say nothing about memory, by name. */
  ignored: Record<string, number>
  /** Lines that could not be read. */
  unread: number
  /** The first few of them. */
  firstUnread: { line: number; text: string }[]
  /** Events that the recorder itself says it lost. */
  lost: number
  /** The file ends in the middle of a line or of its compression. */
  truncated: boolean
  warnings: string[]
}

/** A recording being read. `batches` and `events` are the same events and may be consumed once, by one of the two. */
export interface Recording {
  report: ReadingReport
  /** Events in arrays of up to some thousands: an await per event would dominate. */
  batches: AsyncIterable<TraceEvent[]>
  events: AsyncIterable<TraceEvent>
}
