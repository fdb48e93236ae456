// What Workers that share one search say to one another, in shared words: who has work, who wants some, one branch at a time
// that somebody gives away, the epoch, and whether all is over.
import { weightOf } from './states-path.ts'
import { enterEpoch, type StateSearch } from './states-search.ts'

const Word = Object.freeze({
  /** Why all shall stop: 0 for no reason. */
  stop: 0,
  /** Counts up whenever something becomes shared: the search begins anew. */
  epoch: 1,
  /** Workers that have work, and branches given away and not yet taken. The search is complete when there are none. */
  active: 2,
  /** Workers that wait. */
  hungry: 3,
  mail: 4,
  /** Counts up whenever one who waits should look again. */
  bell: 5,
  executions: 6,
  /** The branch: its epoch, depth, agent, sleepers, preemptions spent. */
  branch: 8,
  path: 16,
})
const Mail = Object.freeze({ empty: 0, busy: 1, full: 2 })
export const Stop = Object.freeze({ no: 0, violation: 1, budget: 2 })

/** The shared words. */
export interface Control {
  readonly words: Int32Array
  /** Of the branch that is given away, then of each Worker, how much of the search it is, or has done. */
  readonly parts: Float64Array
  /** Of each Worker the states and the depth of its latest run, for the progress shown. */
  readonly counts: Int32Array
}

/** Bytes for `jobs` Workers and paths of `maxSteps` steps. */
export function controlBytes(jobs: number, maxSteps: number): number {
  return (1 + jobs) * 8 + (jobs * 2 + Word.path + maxSteps + 1) * 4
}

/** The control words in `buffer`. */
export function openControl(buffer: SharedArrayBuffer, jobs: number): Control {
  const parts = new Float64Array(buffer, 0, 1 + jobs)
  const counts = new Int32Array(buffer, parts.byteLength, jobs * 2)
  return { parts, counts, words: new Int32Array(buffer, parts.byteLength + counts.byteLength) }
}

/** Says that one Worker, the first, has the whole search before it, and `executions` lie behind. Before any starts. */
export function beginControl({ words }: Control, executions: number): void {
  words[Word.executions] = executions
  words[Word.active] = 1
}

/** The epoch; after `bump` the next one. */
export function epochOf({ words }: Control): number {
  return Atomics.load(words, Word.epoch)
}

export function bumpEpoch({ words }: Control): number {
  return Atomics.add(words, Word.epoch, 1) + 1
}

/** Why all shall stop. */
export function stopOf({ words }: Control): number {
  return Atomics.load(words, Word.stop)
}

/** Tells all to stop. The first reason stands. */
export function stopAll(control: Control, reason: number): void {
  Atomics.compareExchange(control.words, Word.stop, Stop.no, reason)
  ring(control)
}

/** Counts a run. Returns how many there were. */
export function countExecution({ words }: Control): number {
  return Atomics.add(words, Word.executions, 1) + 1
}

/** How many runs there were. */
export function executionsOf({ words }: Control): number {
  return Atomics.load(words, Word.executions)
}

/** Says that a Worker has no work any more. */
export function release(control: Control): void {
  if (Atomics.sub(control.words, Word.active, 1) === 1) ring(control)
}

function ring({ words }: Control): void {
  Atomics.add(words, Word.bell, 1)
  Atomics.notify(words, Word.bell)
}

/** Gives the shallowest branch that is left of `search` away if somebody waits for one. */
export function offer(control: Control, search: StateSearch): void {
  const { words } = control
  if (Atomics.load(words, Word.hungry) === 0 || Atomics.load(words, Word.mail) !== Mail.empty) return
  const { todo, asleep, agentOf, spent, bound, rules } = search
  let d = search.base
  while (d < search.depth && todo[d] === 0) d++
  if (d >= search.depth || !hasMore(search, d)) return
  if (Atomics.compareExchange(words, Word.mail, Mail.empty, Mail.busy) !== Mail.empty) return
  const choices = todo[d] as number
  const agent = 31 - Math.clz32(choices)
  const sleeps = bound < 0 && rules.sleep
  // Those that come after may rely on those before, whoever explores them.
  if (sleeps && search.keepAwake[d] === 0) asleep[d] = (asleep[d] as number) | (1 << (agentOf[d] as number))
  words[Word.branch] = search.epoch
  words[Word.branch + 1] = d
  words[Word.branch + 2] = agent
  words[Word.branch + 3] = asleep[d] as number
  words[Word.branch + 4] = spent[d] as number
  for (let i = 0; i < d; i++) words[Word.path + i] = agentOf[i] as number
  control.parts[0] = weightOf(search, d + 1)
  todo[d] = choices & ~(1 << agent)
  // What is given away is not put to sleep here: nobody knows yet whether its step changes owners.
  Atomics.add(words, Word.active, 1)
  Atomics.store(words, Word.mail, Mail.full)
  ring(control)
}

/** Whether anything is left besides one branch at node `d`. */
function hasMore({ todo, depth }: StateSearch, d: number): boolean {
  if (((todo[d] as number) & ((todo[d] as number) - 1)) !== 0) return true
  for (let i = d + 1; i < depth; i++) if (todo[i] !== 0) return true
  return false
}

/** Waits until there is a branch to take. Returns false when all is over. */
export function awaitBranch(control: Control, search: StateSearch): boolean {
  const { words } = control
  Atomics.add(words, Word.hungry, 1)
  for (;;) {
    const bell = Atomics.load(words, Word.bell)
    if (Atomics.load(words, Word.stop) !== Stop.no || Atomics.load(words, Word.active) === 0) return false
    if (Atomics.compareExchange(words, Word.mail, Mail.full, Mail.busy) === Mail.full) {
      const epoch = takeBranch(control, search)
      Atomics.store(words, Word.mail, Mail.empty)
      if (epoch === epochOf(control)) {
        Atomics.sub(words, Word.hungry, 1)
        if (epoch !== search.epoch) enterEpoch(search, epoch)
        return true
      }
      release(control)
    } else Atomics.wait(words, Word.bell, bell)
  }
}

function takeBranch({ words, parts }: Control, search: StateSearch): number {
  const d = words[Word.branch + 1] as number
  search.base = d
  search.alone[d] = 0
  search.depth = d
  search.saves.fill(null)
  for (let i = 0; i < d; i++) search.agentOf[i] = words[Word.path + i] as number
  search.todo[d] = 1 << (words[Word.branch + 2] as number)
  search.branches[d] = search.todo[d] as number
  search.asleep[d] = words[Word.branch + 3] as number
  search.spent[d] = words[Word.branch + 4] as number
  search.weight = parts[0] as number
  return words[Word.branch] as number
}
