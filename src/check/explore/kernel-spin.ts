// Loops that wait (the compiler says where they begin and end). A *turn* is what an agent does from one `relax` of such a loop
// to the next, or from the loop's beginning to its first. At its end the turn is judged:
//
// - It came back to where it began and changed nothing, not even for a moment: the agent waits until a word that it looked at
//   has another value than it saw. An execution with such turns left out has the same future.
// - It came back, and what it changed it changed back (a lock taken and released). Others may have seen the words in between,
//   so leaving such turns out can lose behaviour. Where equal states are merged another turn leads to a state that is known,
//   and `relax` is an ordinary step. Without that the loop would have no end: the agent is held back until a word that it looked at
//   changes, and `KernelState.heldBack` says that the exploration proves nothing beyond that.
// - Otherwise `relax` is an ordinary step.
import { Row } from '../../compile/stepped/announce.ts'
import { refill } from '../undo.ts'

/** What a `relax` is, from its turn. */
export const Relax = Object.freeze({ step: 0, waits: 1, heldBack: 2 })

/** One loop that an agent is in. */
interface Loop {
  /** Where the present turn's entries in the lists of the agent begin. */
  readFrom: number
  wroteFrom: number
  /** Its first turn, too, begins and ends at one place with the same locals. */
  readonly whole: boolean
  /** It stands for all code of a task that was written by hand: a turn of it begins anew with each change that it makes. */
  readonly base: boolean
  /** The frames' hashes at the latest `relax`, if there was one. */
  known: boolean
  hash0: number
  hash1: number
  /** In this turn: words were changed; something happened that is more than that; others changed what was read before a write. */
  impure: boolean
  acted: boolean
  /** The word that counts interrupts off, when the turn began. */
  irqOff: number
  /** The turn before came back and changed nothing but the CPU's own context word. */
  still: boolean
  /** Another agent has read that word in this turn, or in the one before. */
  seen: boolean
  seenBefore: boolean
}

/** The loops of one agent, outermost first, and what it read and wrote in their present turns. */
export interface Spins {
  readonly loops: Loop[]
  readonly readWord: number[]
  readonly readValue: number[]
  /** 1 if read by a plain load. */
  readonly readPlain: number[]
  readonly wroteWord: number[]
  readonly wroteBefore: number[]
  readonly wroteAfter: number[]
  /** What the announced `relax` is, and the value that the CPU's context word gets back with it, or -1. */
  relax: number
  back: number
}

/** An agent that is in no loop. */
export function createSpins(): Spins {
  return {
    loops: [],
    readWord: [],
    readValue: [],
    readPlain: [],
    wroteWord: [],
    wroteBefore: [],
    wroteAfter: [],
    relax: Relax.step,
    back: -1,
  }
}

/** The agent begins: it is in no loop, or (`base`) in code written by hand. */
export function resetSpins(spins: Spins, base: boolean): void {
  spins.loops.length = 0
  forgetReads(spins, 0)
  forgetWrites(spins, 0)
  if (base) spinBegins(spins, true, 0, true)
}

function forgetReads({ readWord, readValue, readPlain }: Spins, from: number): void {
  readWord.length = from
  readValue.length = from
  readPlain.length = from
}

function forgetWrites({ wroteWord, wroteBefore, wroteAfter }: Spins, from: number): void {
  wroteWord.length = from
  wroteBefore.length = from
  wroteAfter.length = from
}

/** Remembers where the agent is. Returns what brings that back. */
export function saveSpins(spins: Spins): () => void {
  const { loops, readWord, readValue, readPlain, wroteWord, wroteBefore, wroteAfter, relax, back } = spins
  const lists = [readWord, readValue, readPlain, wroteWord, wroteBefore, wroteAfter]
  const keptLoops = loops.map((loop) => ({ ...loop }))
  const kept = lists.map((list) => list.slice())
  return () => {
    refill(
      loops,
      keptLoops.map((loop) => ({ ...loop })),
    )
    for (let i = 0; i < lists.length; i++) refill(lists[i] as number[], kept[i] as number[])
    spins.relax = relax
    spins.back = back
  }
}

/** Whether the agent is in a loop that waits. */
export function inLoop(spins: Spins): boolean {
  return spins.loops.length > 0 && !isBase(spins)
}

/** Index of the first word that the present turn of the innermost loop has read. */
export function firstRead({ loops, readWord }: Spins): number {
  return loops.at(-1)?.readFrom ?? readWord.length
}

/** A loop begins. `irqOff` is the word that counts interrupts off. */
export function spinBegins(spins: Spins, whole: boolean, irqOff: number, base = false): void {
  spins.loops.push({
    readFrom: spins.readWord.length,
    wroteFrom: spins.wroteWord.length,
    whole,
    base,
    known: false,
    hash0: 0,
    hash1: 0,
    impure: false,
    acted: false,
    irqOff,
    still: false,
    seen: true,
    seenBefore: true,
  })
}

/** The innermost loop ends; what it looked at and changed counts for the one around it. */
export function spinEnds(spins: Spins): void {
  spins.loops.pop()
  if (spins.loops.length === 0) {
    forgetReads(spins, 0)
    forgetWrites(spins, 0)
  }
}

/** The agent, which is in a loop, has read word `p`, by a plain load or (`plain` 0) a step. */
export function spinReads(spins: Spins, p: number, value: number, plain: number): void {
  if (plain !== 0 && isBase(spins)) return
  const { readWord, readValue, readPlain, loops } = spins
  const from = (loops.at(-1) as Loop).readFrom
  for (let i = from; i < readWord.length; i++) if (readWord[i] === p && readValue[i] === value && readPlain[i] === plain) return
  readWord.push(p)
  readValue.push(value)
  readPlain.push(plain)
}

/** It has changed word `p`. */
export function spinWrites(spins: Spins, p: number, before: number, after: number, plain: number): void {
  const { loops, readWord, readValue, wroteWord, wroteBefore, wroteAfter } = spins
  if (restartBase(spins)) return
  for (const loop of loops) loop.impure = true
  // What it had read there, if nobody else has changed it since, is now what it wrote.
  for (let i = 0; i < readWord.length; i++) {
    if (readWord[i] !== p) continue
    if (readValue[i] === before) readValue[i] = after
    else spinActs(spins)
  }
  spinReads(spins, p, after, plain)
  const from = (loops.at(-1) as Loop).wroteFrom
  const at = wroteWord.indexOf(p, from)
  if (at >= 0) wroteAfter[at] = after
  else {
    wroteWord.push(p)
    wroteBefore.push(before)
    wroteAfter.push(after)
  }
}

/** It has done something whose effect is not in its words: woken somebody, slept, filled a page. */
export function spinActs(spins: Spins): void {
  if (restartBase(spins)) return
  for (const loop of spins.loops) {
    loop.impure = true
    loop.acted = true
  }
}

/** If the agent is in no loop but in code written by hand, its turn begins anew. */
function restartBase(spins: Spins): boolean {
  if (!isBase(spins)) return false
  if (spins.readWord.length > 0) forgetReads(spins, 0)
  return true
}

function isBase({ loops }: Spins): boolean {
  return loops.length === 1 && (loops[0] as Loop).base
}

/** Another agent has read the context word of this one's CPU. */
export function contextSeen(spins: Spins): void {
  for (const loop of spins.loops) loop.seen = true
}

/** What a turn is judged by: the row of the `relax`, and the CPU's words that count interrupts off and changes of mode. */
export interface TurnEnd {
  readonly rows: Int32Array
  readonly row: number
  readonly irqOff: number
  readonly context: number
}

/** Judges the turn that ends at the announced `relax`. `merging`: see above. */
export function judgeTurn(spins: Spins, end: TurnEnd, merging: boolean): void {
  const loop = spins.loops.at(-1)
  if (loop === undefined) throw new Error('relax in no loop of compiled code: a scenario of hand-written tasks must say so')
  spins.back = -1
  if (!cameBack(loop, end)) spins.relax = Relax.step
  else if (!loop.impure) spins.relax = Relax.waits
  else if (loop.acted || changes(spins, loop, end.context)) spins.relax = Relax.step
  else if (merging) {
    spins.relax = Relax.step
    const at = spins.wroteWord.indexOf(end.context, loop.wroteFrom)
    if (at >= 0 && loop.still) spins.back = spins.wroteBefore[at] as number
  } else spins.relax = Relax.heldBack
}

function cameBack(loop: Loop, { rows, row, irqOff }: TurnEnd): boolean {
  if (loop.irqOff !== irqOff && !loop.base) return false
  return loop.whole || (loop.known && loop.hash0 === rows[row + Row.hash0] && loop.hash1 === rows[row + Row.hash1])
}

/** Whether the turn leaves a word changed, other than `except`. */
function changes({ wroteWord, wroteBefore, wroteAfter }: Spins, loop: Loop, except: number): boolean {
  for (let i = loop.wroteFrom; i < wroteWord.length; i++) {
    if (wroteWord[i] !== except && wroteBefore[i] !== wroteAfter[i]) return true
  }
  return false
}

/**
 * The agent goes on from its `relax`: a turn begins. Returns the value that the CPU's context word is to be given back, or -1.
 * That word counts; nobody but its CPU does anything with it but compare it with what it was. Where two turns in a row have
 * changed nothing else and no other agent has looked at it meanwhile, the new count and the old are the same to everybody.
 */
export function turnBegins(spins: Spins, end: TurnEnd): number {
  const { rows, row, irqOff, context } = end
  const loop = spins.loops.at(-1) as Loop
  const back = loop.seen || loop.seenBefore ? -1 : spins.back
  if (loop.impure) {
    loop.still = cameBack(loop, end) && !loop.acted && !changes(spins, loop, context)
    loop.seenBefore = loop.seen
    loop.seen = false
  }
  forgetReads(spins, loop.readFrom)
  if (spins.loops.length === 1) forgetWrites(spins, 0)
  loop.wroteFrom = spins.wroteWord.length
  if (!loop.whole) {
    loop.known = true
    loop.hash0 = rows[row + Row.hash0] as number
    loop.hash1 = rows[row + Row.hash1] as number
  }
  loop.impure = false
  loop.acted = false
  loop.irqOff = irqOff
  spins.back = -1
  return back
}
