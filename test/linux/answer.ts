// Answers as text: the driver's output decoded, and a canonical form in which two subjects are compared.

import type { Answer, Operation, RegionLine } from './operation.ts'

function decodeResult(text: string): Omit<Answer, 'maps'> {
  const fault = /^([SB])(\d+)@(-?\d+)$/.exec(text)
  if (fault === null) return { result: Number(text) }
  const signal = fault[1] === 'B' ? 'SIGBUS' : 'SIGSEGV'
  return { result: 0, fault: { signal, code: Number(fault[2]), address: Number(fault[3]) } }
}

function decodeLine(text: string): RegionLine {
  const [start = '', end = '', perms = '', offset = '', object = ''] = text.split(',')
  return { start: Number(start), end: Number(end), perms, offset: Number(offset), object }
}

/**
 * Decodes the driver's lines for one list. `~` means "maps as this process last reported them", which a
 * forked process inherits.
 */
export function decodeAnswers(list: readonly Operation[], lines: readonly string[]): Answer[] {
  const last = new Map<number, RegionLine[]>()
  return list.map((op, index) => {
    const text = lines[index] ?? '? no answer'
    if (text.startsWith('?')) throw new Error(`driver: ${text.slice(2)} (operation ${index}: ${JSON.stringify(op)})`)
    const [result = '', mark, ...rest] = text.split(' ')
    let maps = last.get(op.process) ?? []
    if (mark === '|') maps = rest.filter((line) => line !== '').map(decodeLine)
    if (op.kind === 'fork') last.set(op.child, maps)
    last.set(op.process, maps)
    return { ...decodeResult(result), maps: op.kind === 'exit' ? [] : maps }
  })
}

/** Encodes an answer as the driver would print it, always with its maps; `name` renames objects. */
function text(answer: Answer, name: (object: string) => string): { result: string; maps: string } {
  const { fault } = answer
  const result = fault ? `${fault.signal} code ${fault.code} at ${fault.address}` : String(answer.result)
  const maps = answer.maps.map((m) => `${m.start},${m.end},${m.perms},${m.offset},${name(m.object)}`).join(' ')
  return { result, maps }
}

/** An answer ready for comparison: shared anonymous objects are numbered as they appear in the list. */
export interface Canonical {
  readonly result: string
  /** The other permitted result, if there is one. */
  readonly otherwise: string | undefined
  readonly maps: string
}

/** The canonical form of a list's answers. */
export function canonical(answers: readonly Answer[]): Canonical[] {
  const names = new Map<string, string>()
  function name(object: string): string {
    if (object === '-' || object === 'A' || object === 'B') return object
    let known = names.get(object)
    if (known === undefined) {
      known = `z${names.size}`
      names.set(object, known)
    }
    return known
  }
  return answers.map((answer) => ({
    ...text(answer, name),
    otherwise: answer.otherwise === undefined ? undefined : String(answer.otherwise),
  }))
}

/** True if both answers can be the same machine's. */
export function agree(a: Canonical, b: Canonical): boolean {
  if (a.maps !== b.maps) return false
  return a.result === b.result || a.otherwise === b.result || a.result === b.otherwise
}

/** Index of the first operation on which the answers differ, or -1. */
export function firstDifference(a: readonly Canonical[], b: readonly Canonical[]): number {
  for (let index = 0; index < Math.max(a.length, b.length); index++) {
    const left = a[index]
    const right = b[index]
    if (left === undefined || right === undefined || !agree(left, right)) return index
  }
  return -1
}
