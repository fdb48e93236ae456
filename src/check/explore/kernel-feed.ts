// What the code of an agent has found, so that it can run again: generators cannot be copied.
import type { Task } from '../execution.ts'
import type { Steps } from '../tree.ts'

/** What the code of one agent has found since the execution began. */
export interface Feed {
  /** The results of its steps and of its plain loads, in order. */
  readonly values: number[]
  /** Where those of the present task begin; the task's number among all that were begun. */
  from: number
  task: number
  /** Makes its generator. */
  make: Task | null
  /** A generator, which task it is of (0: it is of no use), and how many values it has used. */
  generator: Steps<unknown> | null
  liveTask: number
  used: number
}

/** Nothing was found. */
export function createFeed(): Feed {
  return { values: [], from: 0, task: 0, make: null, generator: null, liveTask: 0, used: 0 }
}

/** An execution begins. */
export function emptyFeed(feed: Feed): void {
  feed.values.length = 0
  feed.liveTask = 0
}
