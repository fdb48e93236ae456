// Programs for searches that Workers share: each Worker imports this module, compiled, and builds its own. They note where
// executions end in shared memory.
import { lockedCounter, treiber } from '../../../bench/check/programs.ts'
import { type Litmus, litmus } from '../../../src/check/explore/litmus.ts'
import type { Model } from '../../../src/check/explore/model.ts'
import { type Flavour, randomProgram } from './random-programs.ts'

/** Bits in which ends are noted: one for each end, by its hash. */
export const END_WORDS = 1 << 11

function noting(model: Model, words: number, registers: Int32Array, ends: SharedArrayBuffer): Model {
  const bits = new Int32Array(ends)
  return {
    ...model,
    finish: (blocked) => {
      let hash = blocked
      const mix = (value: number): void => {
        hash = Math.imul(hash ^ value, 0x9e3779b1)
        hash ^= hash >>> 15
      }
      for (let p = 1; p <= words; p++) mix(model.value(p))
      for (const value of registers) mix(value)
      Atomics.or(bits, (hash >>> 5) & (END_WORDS - 1), 1 << (hash & 31))
      return model.finish(blocked)
    },
  }
}

/** A random program, four operations for each agent. */
export function randomModel(seed: number, flavour: Flavour, ends: SharedArrayBuffer): Model {
  const program = randomProgram(seed, flavour, seed % 2 === 1, 5)
  return noting(litmus(program), program.words, program.registers, ends)
}

/** A locked counter. */
export function counterModel(agents: number, rounds: number, ends: SharedArrayBuffer): Model {
  return noting(litmus(lockedCounter(agents, rounds)), 2, new Int32Array(0), ends)
}

/** Treiber's stack, and a bug: one agent expects what only some interleavings give. */
export function stackModel(agents: number, wrong: boolean): Model {
  const program: Litmus = treiber(agents)
  return litmus(
    wrong ? { ...program, check: (words) => (words[agents] === agents ? 'the last node lies on the last but one' : '') } : program,
  )
}

/** Not a model. */
export function failingModel(): Model {
  throw new Error('this model cannot be built')
}
