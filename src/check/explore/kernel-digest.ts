// The digest of a stepped machine under exploration: memory, where each agent stands with which locals, who sleeps, what
// spinning agents wait for. Everything on which a future step, its being possible, or a verdict depends is in it.
import { Row } from '../../compile/stepped/announce.ts'
import { mixInto } from './digest.ts'
import { hashMemory } from './kernel-memory.ts'
import type { Spins } from './kernel-spin.ts'
import { type KernelState, rowOfAgent } from './kernel-state.ts'

/** Words of a row that belong to the state. */
const ROW_WORDS = Row.hash1 + 1
const scratch = new Int32Array(2)

/** Puts the digest of `state` into the two words of `into`. Throws where an agent runs code that was not compiled. */
export function digestKernel(state: KernelState, into: Int32Array): void {
  if (state.opaque) throw new Error('the state of a generator that was not compiled cannot be told: its scenario must say `handWritten`')
  const { machine, memory, rows, sleepers } = state
  const { cpus } = machine
  hashMemory(memory)
  into[0] = memory.hash0
  into[1] = memory.hash1
  for (let agent = 0; agent < cpus * 2; agent++) {
    if (agent < cpus) {
      mixInto(into, ((state.call[agent] as number) << 1) | (state.begun[agent] as number))
      mixInto(into, state.resultHash[agent * 2] as number)
      mixInto(into, state.resultHash[agent * 2 + 1] as number)
    } else mixInto(into, state.inHandler[agent - cpus] as number)
    if (state.running[agent] === 0) continue
    mixInto(into, 1 | ((state.woken[agent] as number) << 1))
    const row = rowOfAgent(state, agent)
    for (let i = 0; i < ROW_WORDS; i++) mixInto(into, rows[row + i] as number)
    mixSpins(into, state.spins[agent] as Spins)
  }
  for (let i = 0; i < sleepers.length; i++) {
    const agent = sleepers[i] as number
    const p = rows[rowOfAgent(state, agent) + Row.a] as number
    let before = 0
    for (let j = 0; j < i; j++) if (rows[rowOfAgent(state, sleepers[j] as number) + Row.a] === p) before++
    // Added up: between sleepers of different words there is no order.
    scratch[0] = agent
    scratch[1] = agent
    mixInto(scratch, before)
    mixInto(scratch, before)
    into[0] = (into[0] as number) + (scratch[0] as number)
    into[1] = (into[1] as number) + (scratch[1] as number)
  }
}

function mixSpins(into: Int32Array, spins: Spins): void {
  const { loops, readWord, readValue, wroteWord, wroteBefore, wroteAfter } = spins
  mixInto(into, loops.length)
  for (let l = 0; l < loops.length; l++) {
    const loop = loops[l] as (typeof loops)[number]
    const bits = [loop.whole, loop.known, loop.impure, loop.acted, loop.still, loop.seen, loop.seenBefore]
    mixInto(
      into,
      bits.reduce((sum, bit, i) => sum | (bit ? 1 << i : 0), 0),
    )
    mixInto(into, loop.hash0)
    mixInto(into, loop.hash1)
    mixInto(into, loop.irqOff)
    const next = loops[l + 1]
    mixSet(into, [readWord, readValue], loop.readFrom, next?.readFrom ?? readWord.length)
    mixSet(into, [wroteWord, wroteBefore, wroteAfter], loop.wroteFrom, next?.wroteFrom ?? wroteWord.length)
  }
}

/** Mixes rows of `columns` without regard to their order. */
function mixSet(into: Int32Array, columns: readonly (readonly number[])[], from: number, to: number): void {
  let sum0 = 0
  let sum1 = 0
  for (let i = from; i < to; i++) {
    scratch[0] = 0x1234567
    scratch[1] = 0x89abcde
    for (const column of columns) mixInto(scratch, column[i] as number)
    mixInto(scratch, 0)
    sum0 = (sum0 + (scratch[0] as number)) | 0
    sum1 = (sum1 + (scratch[1] as number)) | 0
  }
  mixInto(into, to - from)
  mixInto(into, sum0)
  mixInto(into, sum1)
}
