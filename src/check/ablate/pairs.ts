// What is taken away in pairs: a lock with its unlock, an RCU section with its end, irq-off with irq-on. The release is
// looked for in the same function, by the same argument; sections that cross functions are named in `ACROSS`.
import type { Node } from 'oxc-parser'
import { callSteps } from '../../compile/program.ts'
import {
  argument,
  type Call,
  type Change,
  type FunctionText,
  imported,
  instructions,
  type KernelText,
  replace,
  siteAt,
  textOf,
} from './kernel-text.ts'
import type { Edit, Operator, UnnamedSite } from './site.ts'

const SPINLOCK = 'sync/spinlock.ts'
const PTE_MAP = 'pagetable/pte-offset-map.ts'
const ENTRY = 'machine/entry.ts'

/** Makes the edits that take one call away; `{}` is a statement that does nothing. */
type Removal = (fn: FunctionText, call: Call) => Edit[]

const nothing: Removal = (fn, call) => [replace(fn, call.node, '{}')]
const taken: Removal = (fn, call) => [replace(fn, call.node, '1')]
const callInstead =
  (name: string, path: string, args: (fn: FunctionText, call: Call) => string): Removal =>
  (fn, call) => [replace(fn, call.node, `${name}(${args(fn, call)})`), ...imported(fn, name, path)]
const instruction =
  (name: string): Removal =>
  (fn, call) => [replace(fn, call.node, `${name}()`), ...instructions(fn, name)]
const sameArguments = (fn: FunctionText, call: Call): string => call.node.arguments.map((node) => textOf(fn, node)).join(', ')

/** An acquiring function: how its call is taken away, and each releasing function with the way to take that away. */
interface Pair {
  readonly acquire: string
  readonly operator: Operator
  readonly remove: Removal
  readonly releases: Readonly<Record<string, Removal>>
  readonly explanation: string
  /** The release names the lock by something else than the acquire does. */
  readonly anyArgument?: true
  /** Without its release in the same function it is no section: a reference that stays. */
  readonly onlyPaired?: true
}

const keepMapped = callInstead('pteUnmap', PTE_MAP, (fn, call) => argument(fn, call, 0))
const lock = (acquire: string, releases: Pair['releases'], remove: Removal = nothing): Pair => ({
  acquire,
  operator: 'lock',
  remove,
  releases,
  explanation: 'the lock is neither taken nor released',
})

const reference = (acquire: string, release: string): Pair => ({
  acquire,
  operator: 'exclusion',
  remove: nothing,
  releases: { [release]: nothing },
  explanation: 'the object is used without a reference of its own',
  onlyPaired: true,
})

/** What is acquired and released. Locks with irq-off are two sites: the lock without irq-off, and irq-off without the lock. */
export const PAIRS: readonly Pair[] = [
  lock('spinLock', { spinUnlock: nothing }),
  lock('spinLockIrqsave', { spinUnlockIrqrestore: instruction('irqRestore') }, instruction('irqSave')),
  lock('spinTrylock', { spinUnlock: nothing }, taken),
  lock('downRead', { upRead: nothing }),
  lock('downWrite', { upWrite: nothing }),
  lock('downWriteTrylock', { upWrite: nothing }, taken),
  lock('downReadTrylock', { upRead: nothing }, taken),
  lock('mmapReadLock', { mmapReadUnlock: nothing }),
  lock('mmapWriteLock', { mmapWriteUnlock: nothing, mmapWriteDowngrade: nothing, mmapReadUnlock: nothing }),
  {
    ...lock('pteOffsetMapLock', { pteUnmapUnlock: keepMapped }, callInstead('pteOffsetMapRoNolock', PTE_MAP, sameArguments)),
    explanation: 'the entry is mapped without taking the lock of its table',
    anyArgument: true,
  },
  {
    ...lock(
      'design.pteMapLock',
      { pteUnmapUnlock: keepMapped },
      callInstead('pteOffsetMapRoNolock', PTE_MAP, (fn, call) => `${argument(fn, call, 2)}, ${argument(fn, call, 3)}`),
    ),
    explanation: 'the entry is mapped without taking the lock of its table',
    anyArgument: true,
  },
  {
    acquire: 'spinLockIrqsave',
    operator: 'irq',
    remove: callInstead('spinLock', SPINLOCK, sameArguments),
    releases: { spinUnlockIrqrestore: callInstead('spinUnlock', SPINLOCK, sameArguments) },
    explanation: 'interrupts stay on while the lock is held',
  },
  {
    acquire: 'irqSave',
    operator: 'irq',
    remove: nothing,
    releases: { irqRestore: nothing },
    explanation: 'interrupts stay on',
  },
  {
    acquire: 'rcuReadLock',
    operator: 'rcu',
    remove: nothing,
    releases: { rcuReadUnlock: nothing },
    explanation: 'no RCU section: the CPU may pass a quiescent state after each step of it',
  },
  {
    acquire: 'srcuReadLock',
    operator: 'rcu',
    remove: (fn, call) => [replace(fn, call.node, '0')],
    releases: { srcuReadUnlock: nothing },
    explanation: 'no SRCU section',
  },
  reference('getPage', 'putPage'),
  reference('getFile', 'putFile'),
  reference('mmGrab', 'mmDrop'),
]

/** Sections that end in another function: what else has to go with them, and why nothing else does. */
export const ACROSS: readonly {
  readonly file: string
  readonly function: string
  readonly acquire: string
  readonly also: readonly { readonly file: string; readonly function: string; readonly call: string; readonly remove: Removal }[]
  readonly reason: string
}[] = [
  {
    file: PTE_MAP,
    function: 'pteOffsetMapLock',
    acquire: 'spinLock',
    also: [{ file: PTE_MAP, function: 'pteUnmapUnlock', call: 'spinUnlock', remove: nothing }],
    reason: 'what pteOffsetMapLock locked is unlocked by pteUnmapUnlock and by nothing else',
  },
  {
    file: PTE_MAP,
    function: 'pteOffsetMap',
    acquire: 'rcuReadLock',
    also: [{ file: PTE_MAP, function: 'pteUnmap', call: 'rcuReadUnlock', remove: nothing }],
    reason: 'what pteOffsetMap began is ended by pteUnmap and by nothing else',
  },
  {
    file: 'vma/mmap-lock.ts',
    function: 'mmapReadLock',
    acquire: 'downRead',
    also: [
      { file: 'vma/mmap-lock.ts', function: 'mmapReadUnlock', call: 'upRead', remove: nothing },
      // Who came by the read lock through a downgrade ends with `mmapReadUnlock` too.
      {
        file: 'vma/mmap-lock.ts',
        function: 'mmapWriteDowngrade',
        call: 'downgradeWrite',
        remove: callInstead('upWrite', 'sync/rwsem.ts', sameArguments),
      },
    ],
    reason: 'readers of mmap_lock go through these functions',
  },
  {
    file: 'vma/mmap-lock.ts',
    function: 'mmapWriteLock',
    acquire: 'downWrite',
    also: [
      { file: 'vma/mmap-lock.ts', function: 'mmapWriteUnlock', call: 'upWrite', remove: nothing },
      {
        file: 'vma/mmap-lock.ts',
        function: 'mmapWriteDowngrade',
        call: 'downgradeWrite',
        remove: callInstead('downRead', 'sync/rwsem.ts', sameArguments),
      },
    ],
    reason: 'writers of mmap_lock go through these functions',
  },
  {
    file: 'design/mmap-lock.ts',
    function: 'faultUnderMmapLock',
    acquire: 'mmapReadLock',
    also: [
      { file: 'design/mmap-lock.ts', function: 'releaseFault', call: 'mmapReadUnlock', remove: nothing },
      { file: 'design/vma-lock.ts', function: 'releaseFault', call: 'mmapReadUnlock', remove: nothing },
      { file: 'design/speculative.ts', function: 'releaseFault', call: 'mmapReadUnlock', remove: nothing },
    ],
    reason: 'a fault that has to come back drops mmap_lock through the design',
  },
  {
    file: 'design/vma-lock-seq.ts',
    function: 'vmaStartRead',
    acquire: 'downReadTrylock',
    also: [
      { file: 'design/vma-lock-seq.ts', function: 'findAndLockVma', call: 'upRead', remove: nothing },
      { file: 'design/vma-lock-seq.ts', function: 'vmaEndRead', call: 'upRead', remove: nothing },
    ],
    reason: 'what vmaStartRead locked is unlocked by whoever finds the VMA unsuitable, or by vmaEndRead',
  },
  {
    file: 'design/speculative.ts',
    function: 'walkBegin',
    acquire: 'irqSave',
    also: [{ file: 'design/speculative.ts', function: 'walkEnd', call: 'irqRestore', remove: nothing }],
    reason: 'what walkBegin began is ended by walkEnd and by nothing else',
  },
  {
    file: 'design/speculative.ts',
    function: 'walkBegin',
    acquire: 'rcuReadLock',
    also: [{ file: 'design/speculative.ts', function: 'walkEnd', call: 'rcuReadUnlock', remove: nothing }],
    reason: 'what walkBegin began is ended by walkEnd and by nothing else',
  },
  {
    file: 'proc/smaps.ts',
    function: 'mapTable',
    acquire: 'pteOffsetMapLock',
    also: [{ file: 'proc/smaps.ts', function: 'smapsPteRange', call: 'pteUnmapUnlock', remove: keepMapped }],
    reason: 'mapTable maps for smapsPteRange, which unmaps',
  },
  {
    file: SPINLOCK,
    function: 'spinLockIrqsave',
    acquire: 'irqSave',
    also: [{ file: SPINLOCK, function: 'spinUnlockIrqrestore', call: 'irqRestore', remove: nothing }],
    reason: 'the unlock turns interrupts on again',
  },
]

/** The sites of locks, RCU sections and irq-off. */
export function pairSites(kernel: KernelText): UnnamedSite[] {
  const sites: UnnamedSite[] = []
  for (const fn of kernel.functions) {
    for (const call of fn.calls) {
      for (const pair of PAIRS) {
        if (pair.acquire !== call.name) continue
        const change = pairChange(kernel, fn, call, pair)
        if (change.status !== 'unpaired' || !pair.onlyPaired) sites.push(siteAt(fn, call.node, change))
      }
    }
  }
  return sites
}

function pairChange(kernel: KernelText, fn: FunctionText, call: Call, pair: Pair): Change {
  const releases = fn.calls.filter(
    (other) => pair.releases[other.name] !== undefined && (pair.anyArgument || argument(fn, other) === argument(fn, call)),
  )
  const across = ACROSS.find((entry) => entry.file === fn.module.source.path && entry.function === fn.name && entry.acquire === call.name)
  const { operator, explanation } = pair
  const refuse = (reason: string): Change => ({ operator, explanation, status: 'unpaired', reason, variants: [] })
  if (releases.length === 0 && across === undefined)
    return refuse('no release of it in this function: what returns with a lock held is changed where it is called')
  const same = fn.calls.filter((other) => other.name === call.name && argument(fn, other) === argument(fn, call))
  if (same.length > 1 && operator !== 'irq') return refuse('taken at more than one place of this function')
  const edits = [...pair.remove(fn, call), ...releases.flatMap((release) => (pair.releases[release.name] as Removal)(fn, release))]
  for (const { file, function: name, call: released, remove } of across?.also ?? []) {
    const other = kernel.functions.find((candidate) => candidate.module.source.path === file && candidate.name === name)
    const found = other?.calls.filter((candidate) => candidate.name === released) ?? []
    if (other === undefined || found.length === 0) return refuse(`${released} is not in ${name} (${file}) any more`)
    edits.push(...found.flatMap((release) => remove(other, release)))
  }
  if (call.name === 'rcuReadLock') edits.push(...quiescentStates(kernel, fn, call, releases))
  return { operator, explanation, variants: [{ name: '', edits }] }
}

/**
 * In a kernel that is not preemptible an RCU section costs nothing and its absence is no instruction either: what it keeps
 * out is a quiescent state. So each statement of the section that can step is followed by one.
 */
function quiescentStates(kernel: KernelText, fn: FunctionText, begin: Call, ends: readonly Call[]): Edit[] {
  const statements = new Set<Node>()
  const last = Math.max(...ends.map((end) => end.node.start))
  const skipped = new Set<Node>([begin.node, ...ends.map((end) => end.node)])
  // A section that is only entered under a condition is only missed under it.
  const around = kernel.parent(kernel.parent(begin.node) ?? begin.node)
  const guard = around?.type === 'IfStatement' ? `if (${textOf(fn, around.test)}) ` : ''
  for (const { node } of fn.calls) {
    if (node.start < begin.node.start || node.start > last || skipped.has(node)) continue
    if (!callSteps(kernel.program.resolve, fn.module, node)) continue
    const statement = enclosingStatement(kernel, node)
    if (statement !== null) statements.add(statement)
  }
  const file = fn.module.source.path
  const edits = [...statements].map(({ end }): Edit => ({ file, start: end, end, text: `; ${guard}setContext(Mode.kernel)` }))
  return edits.length === 0 ? [] : [...edits, ...imported(fn, 'setContext', ENTRY), ...imported(fn, 'Mode', ENTRY)]
}

/** The declaration or expression statement of a block that `node` lies in; null for conditions and results. */
function enclosingStatement(kernel: KernelText, node: Node): Node | null {
  let at: Node | null = node
  while (at !== null && at.type !== 'ExpressionStatement' && at.type !== 'VariableDeclaration') {
    if (at.type.endsWith('Statement')) return null
    at = kernel.parent(at)
  }
  return at !== null && kernel.parent(at)?.type === 'BlockStatement' ? at : null
}
