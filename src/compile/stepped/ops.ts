// The numbers under which stepped code announces what it is about to do. The one list of what is a step: everything
// below `FIRST_PLAIN` stops the CPU until an executor performs it; the rest happens at once and is only observed.

/** First number of the instructions that are not steps. */
export const FIRST_PLAIN = 32
/** First number of the annotations. */
export const FIRST_NOTE = 64
/** What the observer is told where a loop that waits begins and ends (see `spinBegins` in announce.ts): no instruction. */
export const SPIN_BEGINS = 128
export const SPIN_ENDS = 129

/** Every instruction and annotation that carries its place in the source, by name. 0 is a CPU that has not begun. */
export const Op = Object.freeze({
  readOnce: 1,
  writeOnce: 2,
  smpLoadAcquire: 3,
  smpStoreRelease: 4,
  rcuDereference: 5,
  rcuAssignPointer: 6,
  cmpxchg: 7,
  xchg: 8,
  atomicAdd: 9,
  atomicOr: 10,
  atomicAnd: 11,
  relax: 12,
  futexWait: 13,
  futexWake: 14,
  irqSave: 15,
  irqRestore: 16,
  sendIpi: 17,
  blockOnIo: 18,
  readEntryWhole: 19,
  orEntryWhole: 20,

  load: 32,
  store: 33,
  zeroPage: 34,
  copyPage: 35,
  smpMb: 36,
  smpWmb: 37,
  smpRmb: 38,

  allocated: 64,
  freed: 65,
  lockAcquired: 66,
  lockReleased: 67,
  rcuReadEnter: 68,
  rcuReadExit: 69,
  rcuQueued: 70,
  mightSleep: 71,
  rcuInvoked: 72,
  kmapLocal: 73,
  kunmapLocal: 74,
})

/** Names of the instructions that are steps. */
export type StepName =
  | ('readOnce' | 'writeOnce' | 'smpLoadAcquire' | 'smpStoreRelease' | 'rcuDereference' | 'rcuAssignPointer')
  | ('cmpxchg' | 'xchg' | 'atomicAdd' | 'atomicOr' | 'atomicAnd' | 'relax' | 'futexWait' | 'futexWake')
  | ('irqSave' | 'irqRestore' | 'sendIpi' | 'blockOnIo' | 'readEntryWhole' | 'orEntryWhole')

/** Exports of `machine/instructions.ts` that touch no shared word and need no place: they stay as they are. */
export const UNPLACED = Object.freeze(['bindCpu', 'smpProcessorId', 'thisCpu', 'perCpu', 'pollInterrupts', 'clock', 'copiesWordByWord'])
/** Exports of `machine/annotations.ts` that stay as they are. */
export const UNPLACED_NOTES = Object.freeze(['Kind', 'reached'])

/** The name of operation `op`. */
export function opName(op: number): string {
  for (const [name, number] of Object.entries(Op)) if (number === op) return name
  return op === 0 ? 'start' : `op ${op}`
}

/** Whether the instruction called `name` stops the CPU. */
export function isStep(name: string): name is StepName {
  const op = (Op as Record<string, number>)[name]
  return op !== undefined && op < FIRST_PLAIN
}

/** Whether calls of `name` get their place in the source as an additional last argument. */
export function isPlaced(name: string): boolean {
  return name in Op
}
