// A recorded program as something to replay: processes, tasks, and operations in the order in which the recording shows them
// to have taken effect. Knows recordings, not the kernel. Addresses and lengths are bytes, times microseconds.

/** Page size of the recorded machine. x86 recordings have 4 KiB pages, and no recording says otherwise. */
export const RECORDED_PAGE = 4096

export type OperationKind = 'mmap' | 'munmap' | 'mprotect' | 'madvise' | 'mremap' | 'brk' | 'touch' | 'fork' | 'exec' | 'exit'

/**
 * One step of a task. All operations have all fields, so that a million of them stay small and fast; what a kind does not use
 * is 0, -1, NaN or false.
 */
export interface Operation {
  /** Place in {@link Program.operations}: the recorded commit order. */
  index: number
  kind: OperationKind
  /** Index in {@link Program.tasks}. */
  task: number
  /** Index in {@link Program.spaces}: the address space acted on. For exec the one that is left. */
  space: number
  /**
   * mmap: where the mapping is (the hint, when it failed). munmap, mprotect, madvise, mremap: the argument.
   * touch: the faulting address. brk: the argument, 0 to ask.
   */
  address: number
  /** Bytes as given by the program, not rounded. touch: 1. brk: bytes the break moved, negative when it shrank. */
  length: number
  /** mmap, mprotect: PROT_*. */
  prot: number
  /** mmap: MAP_*, mremap: MREMAP_*. */
  flags: number
  /** madvise: MADV_*. */
  advice: number
  /** mmap: index in {@link Program.files}, -1 for anonymous memory. */
  file: number
  /** mmap: bytes into the file. */
  offset: number
  /** mremap: new length, and the address asked for with MREMAP_FIXED (0 without). mmap: `newAddress` is the program's hint. */
  newLength: number
  newAddress: number
  /** touch: it writes, or it fetches an instruction. */
  write: boolean
  exec: boolean
  /** touch: the program's own code (true) or the kernel on its behalf. */
  user: boolean
  /** touch: the page was there (copy-on-write, or a protection that is tighter than the mapping's). */
  present: boolean
  /** touch: the recorded mapping did not allow it; expect SIGSEGV. */
  denied: boolean
  /** What the call returned: an address, a break, 0. NaN when it failed or the recording does not say. */
  result: number
  /** Linux errno of a failed call, 0 when it did not fail, -1 when it failed with an unknown error. */
  errno: number
  /** A failed call that must fail in the same way again: its arguments or the recorded mappings explain the error. */
  repeatable: boolean
  /** fork, exec: index in {@link Program.spaces} of the new address space, -1 otherwise. */
  child: number
  /** fork: index in {@link Program.tasks} of the new process' first task, -1 otherwise. */
  childTask: number
  /** exit, exec: the address space has no task left afterwards and goes away. */
  last: boolean
  /** Not in the recording: a mapping that must have been there. */
  inferred: boolean
  /** Not in the recording: a touch by {@link assumeTouches}. Never to be counted as the program's own. */
  assumed: boolean
  /** Microseconds since the recording's first event; NaN when it has no times. */
  time: number
  /** Microseconds from entering to leaving, NaN when unknown. */
  duration: number
  /** Operations of other tasks that the recording proves to have come first; always smaller indices. */
  after: readonly number[]
  /** Operations that overlapped this one in time and in pages, without proof of an order. Symmetric. */
  races: readonly number[]
}

/** A recorded thread. */
export interface Task {
  index: number
  /** Thread id on the recorded machine, 0 when the recording has none. */
  tid: number
  process: number
  name: string
  /** The task that created it, -1 when that is not recorded. */
  parent: number
  /** The parent's last operation before it was created, -1 for none: nothing of this task comes before it. */
  startedAfter: number
}

/** A recorded process (thread group). */
export interface Process {
  index: number
  /** Process id on the recorded machine. */
  pid: number
  name: string
  /** The process that created it, -1 when that is not recorded. */
  parent: number
  /** The fork operation, -1 when it is not recorded (or was a vfork, which copies nothing). */
  forkedAt: number
  tasks: number[]
}

/** An address space: made by exec or fork, shared by threads, and by a vfork child until its exec. */
export interface Space {
  index: number
  /** The process it was made for. */
  process: number
  /** The space it was copied from, -1 for one made by exec or there from the beginning. */
  parent: number
  /** The fork or exec operation that made it, -1 when it was there from the beginning. */
  madeBy: number
  /** Where the heap begins: the break before it first moved. NaN when the recording never asked. */
  heapStart: number
}

/** A mapped file, as far as the recording tells files apart. */
export interface MappedFile {
  index: number
  /** Its path, or a description such as `fd 3 of 7752, 2nd`. */
  name: string
  /** How it was told apart: by path, by a recorded open, or only by the pattern of mmap calls on a descriptor number. */
  identity: 'path' | 'open' | 'guess'
  /** Bytes up to the end of the furthest mapping. */
  size: number
}

/** What building the program had to assume, and what it could not use. */
export interface ProgramReport {
  /** Mappings (and their pages) that exec or the time before the recording made. */
  inferredMappings: number
  inferredPages: number
  /** Mappings and unmappings that must have happened in the middle of the recording without being in it. */
  missedMappings: number
  missedUnmappings: number
  /** System calls of which only the beginning or only the end is recorded and which could not be used. */
  beginningsOnly: number
  endsOnly: number
  /** Calls without a recorded result, taken as successful. */
  unknownResults: number
  /** Touches that the recorded mappings do not allow. */
  denied: number
  /** New tasks of which it had to be guessed whether they are threads or processes. */
  guessedTasks: number
  /** Pairs of operations whose order the recording does not prove. */
  racingPairs: number
  /** Events of tasks that had already exited. */
  afterExit: number
  /** Failed calls, and those among them that must fail again. */
  failed: number
  repeatable: number
  /** Touches that were added, and those that the cap kept out. */
  assumedTouches: number
  assumedTouchesLeftOut: number
  /** Recorded system calls that act on memory and are not replayed, by name. */
  notReplayed: Record<string, number>
}

/** A recorded program. */
export interface Program {
  name: string
  processes: Process[]
  tasks: Task[]
  spaces: Space[]
  files: MappedFile[]
  operations: Operation[]
  report: ProgramReport
}

/** An operation with nothing in it. */
export function emptyOperation(kind: OperationKind, task: number): Operation {
  const nothing = Number.NaN
  return {
    index: -1,
    kind,
    task,
    space: -1,
    address: 0,
    length: 0,
    prot: 0,
    flags: 0,
    advice: 0,
    file: -1,
    offset: 0,
    newLength: 0,
    newAddress: 0,
    write: false,
    exec: false,
    user: false,
    present: false,
    denied: false,
    result: nothing,
    errno: 0,
    repeatable: false,
    child: -1,
    childTask: -1,
    last: false,
    inferred: false,
    assumed: false,
    time: nothing,
    duration: nothing,
    after: NONE,
    races: NONE,
  }
}

/** The one empty list. */
export const NONE: readonly number[] = Object.freeze([])

/** A report with nothing in it. */
export function emptyProgramReport(): ProgramReport {
  return {
    inferredMappings: 0,
    inferredPages: 0,
    missedMappings: 0,
    missedUnmappings: 0,
    beginningsOnly: 0,
    endsOnly: 0,
    unknownResults: 0,
    denied: 0,
    guessedTasks: 0,
    racingPairs: 0,
    afterExit: 0,
    failed: 0,
    repeatable: 0,
    assumedTouches: 0,
    assumedTouchesLeftOut: 0,
    notReplayed: Object.create(null),
  }
}
