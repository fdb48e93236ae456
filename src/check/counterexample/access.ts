// One event in words: `pmd table 1[511] -> pte table 2`, `cmpxchg(vma 1.refcnt, 1 -> 2)`, `freed pte table 2`.
import { Op } from '../../compile/stepped/ops.ts'
import { RESUME } from '../explore/kernel-state.ts'
import type { Names } from './names.ts'
import type { RecordedEvent, Waiting } from './recording.ts'

/** What an event does, in one line. A read is `word -> value`, a write `word = value (was …)`. */
export function describeAccess(event: RecordedEvent, names: Names): string {
  const { op, a, b, c, before, after, index, kind } = event
  if (kind === 'call-begins') return 'called'
  if (kind === 'call-returns') return b === 0 ? 'returns' : `returns ${names.number(a)}`
  if (kind === 'interrupt-begins') return 'IPI arrives'
  if (kind === 'interrupt-returns') return 'interrupt returns'
  const word = (): string => names.address(a, index)
  const value = (v: number): string => names.value(a, v, index)
  const change = (text: string): string => `${word()} ${text}`
  switch (op) {
    case Op.readOnce:
    case Op.smpLoadAcquire:
    case Op.rcuDereference:
    case Op.load:
      return `${word()} -> ${value(after)}`
    case Op.writeOnce:
    case Op.smpStoreRelease:
    case Op.rcuAssignPointer:
    case Op.store:
      return change(before === after ? `= ${value(after)} (as before)` : `= ${value(after)} (was ${value(before)})`)
    case Op.cmpxchg:
      if (before !== b) return `cmpxchg(${word()}, ${value(b)} -> ${value(c)}) fails: ${value(before)}`
      return `cmpxchg(${word()}, ${value(b)} -> ${value(c)})`
    case Op.xchg:
      return `xchg(${word()}, ${value(b)}) -> ${value(before)}`
    case Op.atomicAdd:
      return change(`${b < 0 ? '-=' : '+='} ${value(Math.abs(b))} (${value(before)} -> ${value(after)})`)
    case Op.atomicOr:
    case Op.atomicAnd:
      return change(`= ${value(after)} (was ${value(before)})`)
    case Op.readEntryWhole:
      return `${word()} in one go -> ${hex(after)}`
    case Op.orEntryWhole:
      return before === after ? `${word()} stays ${hex(after)}` : change(`= ${hex(after)} (was ${hex(before)}) in one go`)
    case Op.relax:
      return 'spins'
    case Op.futexWait:
      return before === b ? `sleeps on ${word()}` : `does not sleep: ${word()} has changed`
    case Op.futexWake:
      return `wakes who sleeps on ${word()}`
    case RESUME:
      return 'wakes up'
    case Op.irqSave:
      return 'interrupts off'
    case Op.irqRestore:
      return event.irqOff === 0 ? 'interrupts on' : 'interrupts stay off'
    case Op.sendIpi:
      return `sends an IPI to CPU ${a}`
    case Op.blockOnIo:
      return 'waits for the disk'
    case Op.zeroPage:
      return `zeroes ${names.object(a, index)}`
    case Op.copyPage:
      return `copies ${names.object(b, index)} to ${names.object(a, index)}`
    case Op.allocated:
      return `allocated ${names.object(a, index)}`
    case Op.freed:
      return `freed ${names.object(a, index)}`
    case Op.lockAcquired:
      return `locked ${lockName(word())}${b === 0 ? ' (read)' : ''}`
    case Op.lockReleased:
      return `unlocked ${lockName(word())}`
    case Op.rcuReadEnter:
      return event.rcu > 1 ? `rcu_read_lock (depth ${event.rcu})` : 'rcu_read_lock'
    case Op.rcuReadExit:
      return event.rcu > 0 ? `rcu_read_unlock (depth ${event.rcu})` : 'rcu_read_unlock'
    case Op.rcuQueued:
      return `call_rcu(${names.object(a, index)})`
    case Op.kmapLocal:
      return `maps ${names.object(a, index)}`
    case Op.kunmapLocal:
      return `unmaps ${names.object(a, index)}`
    case Op.mightSleep:
      return 'may sleep'
    default:
      return event.name
  }
}

function hex(value: number): string {
  return `0x${(value >>> 0).toString(16)}`
}

/** The lock at a word: a semaphore's first word stands for all of it. */
export function lockName(word: string): string {
  return word.replace(/\.count$/, '')
}

/** What an agent that cannot go on waits for: `waits for lru.lock`. */
export function describeWait({ op, word }: Waiting, names: Names, index: number): string {
  const name = lockName(names.address(word, index))
  if (op === Op.relax) return `spins on ${name}`
  return op === RESUME ? `sleeps on ${name}` : `waits for ${name}`
}
