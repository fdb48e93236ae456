// An earlier state of an execution brought back without its steps. Memory and what the checker knows of the agents are put back
// as they were. Generators cannot be: one that has gone on since is made again, and run up to where it was, only once its agent has to
// take a step. It then finds what it found before (`feeds`), and nobody is told.
import { ROW_SHIFT, Row } from '../../compile/stepped/announce.ts'
import type { Task } from '../execution.ts'
import type { Steps } from '../tree.ts'
import { refill } from '../undo.ts'
import type { Feed } from './kernel-feed.ts'
import { saveMemory } from './kernel-memory.ts'
import { saveSpins } from './kernel-spin.ts'
import { type KernelState, rowOfAgent } from './kernel-state.ts'
import { BeganOtherwise } from './model.ts'

/** Remembers the state. Returns what brings it back, as long as the execution lasts. */
export function saveKernel(state: KernelState): () => void {
  const { machine, rows, call, begun, finished, inHandler, woken, running, resultHash, results, sleepers, feeds } = state
  const rowWords = (machine.cpus * 2) << ROW_SHIFT
  const memory = saveMemory(state.memory)
  const arrays = [call, begun, finished, inHandler, woken, running, resultHash] as const
  const kept = arrays.map((array) => array.slice())
  const keptRows = rows.slice(0, rowWords)
  const keptResults = results.map((list) => list.slice())
  const keptSleepers = sleepers.slice()
  const { spinning } = state
  const spins = state.spins.map(saveSpins)
  const agents = feeds.map(({ values, from, task, make }) => ({ length: values.length, from, task, make }))
  return () => {
    memory()
    for (let i = 0; i < arrays.length; i++) (arrays[i] as Uint8Array).set(kept[i] as Uint8Array)
    rows.set(keptRows)
    for (let cpu = 0; cpu < results.length; cpu++) refill(results[cpu] as unknown[], keptResults[cpu] as unknown[])
    refill(sleepers, keptSleepers)
    state.spinning = spinning
    for (const bringBack of spins) bringBack()
    for (let agent = 0; agent < agents.length; agent++) {
      const { length, from, task, make } = agents[agent] as (typeof agents)[number]
      const feed = feeds[agent] as Feed
      feed.values.length = length
      feed.from = from
      feed.task = task
      feed.make = make
      if (feed.used > length) feed.liveTask = 0
    }
  }
}

/**
 * Has the generator of `agent` catch up with the agent, whose present segment begins with number `start` of what it found; it is made
 * again if it has gone too far. Throws `BeganOtherwise`.
 */
export function catchUp(state: KernelState, agent: number, start: number): void {
  const feed = state.feeds[agent] as Feed
  if (feed.liveTask === feed.task && feed.used === start) return
  const { announce, frameHash } = state.machine.tree
  const row = rowOfAgent(state, agent)
  const was = state.rows.slice(row + Row.a, row + Row.hash1 + 1)
  if (feed.liveTask !== feed.task) {
    feed.generator = (feed.make as Task)() as Steps<unknown>
    feed.liveTask = feed.task
    feed.used = feed.from
  }
  const generator = feed.generator as Steps<unknown>
  // The hashes of the outermost frame are found when it begins, those of the others in their own generators.
  frameHash.emptyStack()
  announce.runAgain(feed.values, feed.used, start, false)
  while (!announce.allFed()) generator.next(announce.nextFed())
  announce.runOn()
  feed.used = start
  // The operation itself may be the checker's own: that of who was asleep.
  if (start > feed.from && was.some((word, i) => state.rows[row + Row.a + i] !== word)) throw new BeganOtherwise()
}
