// A detector just good enough for tests of counterexamples: an access to words that were freed, and locks held at the end.
import type { Explains, Violation } from '../../../src/check/violation.ts'
import type { Watch } from '../../../src/check/watch.ts'
import { onWord } from '../../../src/check/word-operation.ts'
import { Op } from '../../../src/compile/stepped/ops.ts'

interface Freed {
  readonly agent: number
  readonly site: number
  readonly told: number
  readonly words: number
}

/** Finds uses of memory that was freed during the execution. */
export function freedWatch(): Watch & Explains {
  const freed = new Map<number, Freed>()
  let found: Violation | null = null
  let told = 0
  const access = (agent: number, p: number): void => {
    if (found !== null) return
    for (const [start, { words, agent: by, site, told: event }] of freed) {
      if (p < start || p >= start + words) continue
      found = {
        detector: 'use-after-free',
        bookkeeping: false,
        message: `use of freed memory: CPU ${agent} reads 0x${p.toString(16)}`,
        agent,
        objects: [start],
        related: [{ text: `freed 0x${start.toString(16)}`, agent: by, site, event }],
      }
    }
  }
  return {
    reset: () => {
      freed.clear()
      found = null
      told = 0
    },
    callBegins: () => {},
    callReturns: () => {},
    interruptBegins: () => {},
    interruptReturns: () => {},
    step: (agent, op, a) => {
      if (onWord(op)) access(agent, a)
      told++
    },
    plain: (agent, op, a) => {
      if (op === Op.load) access(agent, a)
      told++
    },
    note: (agent, op, a, b, _c, site) => {
      if (op === Op.freed) freed.set(a, { agent, site, told, words: b })
      if (op === Op.allocated) freed.delete(a)
      told++
    },
    failure: () => found?.message ?? '',
    finish: () => '',
    digest: () => {},
    violation: () => found,
  }
}
