// Which expressions of a function look at a shared word, directly or through a local, and how: by a marked read, by what
// an atomic found, by mapping something that may be gone. The rules of `recheck.ts` are stated in these terms.
import type { CallExpression, Node } from 'oxc-parser'
import { walk } from 'oxc-walker'
import { INSTRUCTIONS_MODULE } from '../../compile/module.ts'
import { bare } from '../../compile/source.ts'
import { type Call, type FunctionText, type KernelText, textOf } from './kernel-text.ts'

const MARKED_READS = new Set(['readOnce', 'smpLoadAcquire', 'rcuDereference', 'readEntryWhole'])
const ATOMICS = new Set(['cmpxchg', 'xchg', 'atomicAdd', 'atomicOr', 'atomicAnd'])
/** What gives 0 when the thing is gone. */
const MAPS = new Set([
  ...['pteOffsetMap', 'pteOffsetMapLock', 'pteOffsetMapRoNolock', 'pteOffsetMapRwNolock', 'design.pteMapLock'],
  ...['refcountIncNotZero', 'vmaStartRead'],
])
/** After one of these, what was read before may have changed. */
const ACQUIRES = new Set([
  ...['spinLock', 'spinLockIrqsave', 'spinTrylock', 'rcuReadLock', 'srcuReadLock', 'pteOffsetMap', 'pteOffsetMapLock'],
  ...['pteOffsetMapRoNolock', 'pteOffsetMapRwNolock', 'design.pteMapLock', 'cmpxchg'],
])

/** Short functions over plain words, which a reader may use. */
const PLAIN_READERS = new Set(['pageAnon', 'pfnToPage', 'virtToPage'])
/** Readers outside the rooms that are searched, and those of entries of two halves, which look more than once. */
const KNOWN_READERS = new Map<string, Look>([
  ['machine/entry.ts#readContext', 'read'],
  ['pagetable/entries.ts#getHalves', 'read'],
  ['pagetable/entries.ts#getHalvesLockless', 'read'],
  ['pagetable/levels.ts#upperGetIrqOff', 'read'],
  ['pagetable/pte-offset-map.ts#pmdpGetIrqOff', 'read'],
])
/** Functions of numbers outside the rooms that are searched. */
const MACHINE_ARITHMETIC = ['machine/entry.ts#contextMode']

/** How an expression looks at shared memory; 'none' if it does not. */
export type Look = 'none' | 'read' | 'atomic' | 'map'

/** What `looks` tells of an expression. */
export interface Looks {
  readonly look: Look
  /** Sources of the calls that read, for telling a second look at the same word. */
  readonly words: readonly string[]
}

/** Reads of one function. */
export interface SharedReads {
  /** How `node` looks at shared memory, locals followed to what was last assigned to them above. */
  looks(node: Node): Looks
  /** Whether a lock, a section or an atomic was taken above `node` in the text. */
  acquiredBefore(node: Node): boolean
  /** Whether one of `words` was also read above `node`, by another call than those inside it. */
  readBefore(node: Node, words: readonly string[]): boolean
}

/** What is known of the kernel's functions: who only returns something read from shared memory, who only calculates. */
export interface Readers {
  readonly looks: ReadonlyMap<string, Look>
  readonly arithmetic: ReadonlySet<string>
}

/** Finds the functions that read under a name (`ptepGet`, `mteDeadNode`) and those that touch no memory at all. */
export function readers(kernel: KernelText): Readers {
  const looks = new Map(KNOWN_READERS)
  const arithmetic = new Set(MACHINE_ARITHMETIC)
  const keyOf = (fn: FunctionText): string => `${fn.module.source.path}#${fn.name}`
  for (const fn of kernel.functions) if (fn.calls.length === 0) arithmetic.add(keyOf(fn))
  for (let changed = true; changed; ) {
    changed = false
    for (const fn of kernel.functions) {
      const body = fn.fn.node.body?.body ?? []
      const last = body.at(-1)
      if (looks.has(keyOf(fn)) || body.length > 8 || last?.type !== 'ReturnStatement' || last.argument === null) continue
      const onlyReads = fn.calls.every((call) => {
        const key = `${call.path}#${call.name}`
        return call.path === INSTRUCTIONS_MODULE || looks.has(key) || arithmetic.has(key) || PLAIN_READERS.has(call.name)
      })
      if (!onlyReads) continue
      const { look } = sharedReads(fn, { looks, arithmetic }).looks(last.argument)
      if (look === 'none' || (body.length > 1 && look !== 'read')) continue
      looks.set(keyOf(fn), look)
      changed = true
    }
  }
  return { looks, arithmetic }
}

/** Reads of `fn`; `known` are the functions that read. */
export function sharedReads(fn: FunctionText, known: Readers): SharedReads {
  const meanings = new Map<CallExpression, Call>(fn.calls.map((call) => [call.node, call]))
  const assigned = assignments(fn)
  const lookOf = (call: Call): Look => {
    if (call.path === INSTRUCTIONS_MODULE) return MARKED_READS.has(call.name) ? 'read' : ATOMICS.has(call.name) ? 'atomic' : 'none'
    if (MAPS.has(call.name)) return 'map'
    return known.looks.get(`${call.path}#${call.name}`) ?? 'none'
  }
  const looks = (node: Node, depth = 0): Looks => {
    let look: Look = 'none'
    const words: string[] = []
    const add = (more: Looks): void => {
      if (look === 'none' || more.look === 'atomic') look = more.look
      words.push(...more.words)
    }
    walk(node, {
      enter(inner, parent, { key }) {
        if (inner.type === 'CallExpression') {
          const call = meanings.get(inner)
          const its = call === undefined ? 'none' : lookOf(call)
          if (its !== 'none') add({ look: its, words: [textOf(fn, inner)] })
          // Only arithmetic hands on what its arguments are; what lies behind a pointer that was read is something else.
          if (call !== undefined && !known.arithmetic.has(`${call.path}#${call.name}`)) return this.skip()
        } else if (inner.type === 'Identifier' && depth < 4) {
          if (parent?.type === 'MemberExpression' || (parent?.type === 'CallExpression' && key === 'callee')) return undefined
          const values = (assigned.get(inner.name) ?? []).filter((value) => value.end <= node.start)
          for (const value of values) add(looks(value, depth + 1))
        }
        return undefined
      },
    })
    return { look, words }
  }
  return {
    looks: (node) => looks(node),
    acquiredBefore: (node) => fn.calls.some((call) => ACQUIRES.has(call.name) && call.node.end <= node.start),
    readBefore: (node, words) => {
      const argumentsOf = new Set(words.map(location))
      const own = new Set(words)
      return fn.calls.some((call) => {
        if (call.node.end > node.start) return false
        const text = textOf(fn, call.node)
        const isRead = lookOf(call) === 'read' || (call.path === INSTRUCTIONS_MODULE && call.name === 'load')
        return isRead && argumentsOf.has(location(text)) && !own.has(text)
      })
    },
  }
}

/** What a read names: its argument. */
function location(text: string): string {
  return text.slice(text.indexOf('('))
}

/** Everything that is assigned to each local, in the order of the text. */
function assignments(fn: FunctionText): Map<string, Node[]> {
  const found = new Map<string, Node[]>()
  const add = (name: string, value: Node): void => {
    const values = found.get(name)
    if (values === undefined) found.set(name, [value])
    else values.push(value)
  }
  walk(fn.fn.node, {
    enter(node) {
      if (node.type === 'VariableDeclarator' && node.id.type === 'Identifier' && node.init !== null) add(node.id.name, bare(node.init))
      if (node.type === 'AssignmentExpression' && node.left.type === 'Identifier') add(node.left.name, bare(node.right))
    },
  })
  return found
}
