// Who runs next. An *agent* is a CPU's number, or the complement of it (~cpu) for delivering an IPI to that CPU. A
// schedule is the list of agents that were chosen, as pairs of agent and how many times in a row: small, and replays.

/** Chooses among agents that can run. Returns an index into `agents`, or -1 to end the execution. */
export interface Scheduler {
  choose(agents: Int32Array, count: number): number
}

/** `[agent, times, agent, times, …]`. */
export type Schedule = readonly number[]

/**
 * Chooses at random; equal seeds choose equally. With probability `stay` (0 to 1) the agent that ran last runs on, so that
 * CPUs advance in bursts: races that need one CPU to fall far behind are met sooner. Otherwise each agent is equally likely.
 */
export function randomScheduler(seed: number, stay = 0): Scheduler {
  const threshold = stay * 2 ** 32
  let state = (seed ^ 0x9e3779b9) | 0
  let last = 0
  const random = (): number => {
    // mulberry32
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return (t ^ (t >>> 14)) >>> 0
  }
  return {
    choose: (agents, count) => {
      if (count === 1) return 0
      if (threshold > 0 && random() < threshold) {
        for (let i = 0; i < count; i++) if (agents[i] === last) return i
      }
      const index = random() % count
      last = agents[index] as number
      return index
    },
  }
}

/** Each agent runs for `quantum` steps (default: as long as it can), then the next one. IPIs are delivered at once. */
export function roundRobinScheduler(quantum = Number.POSITIVE_INFINITY): Scheduler {
  let last = 0
  let used = 0
  return {
    choose: (agents, count) => {
      let next = -1
      for (let i = 0; i < count; i++) {
        const agent = agents[i] as number
        if (agent < 0) return i
        if (agent === last && used < quantum) {
          used++
          return i
        }
        if (next === -1 && agent > last) next = i
      }
      if (next === -1) next = 0
      last = agents[next] as number
      used = 1
      return next
    },
  }
}

/** Thrown when a schedule asks for an agent that cannot run: the code or the scenario has changed. */
export class ScheduleMismatch extends Error {}

/** Replays `schedule` exactly and ends with it. Throws `ScheduleMismatch` where the execution does not follow it. */
export function replayScheduler(schedule: Schedule): Scheduler {
  let at = 0
  let used = 0
  let step = 0
  return {
    choose: (agents, count) => {
      if (at >= schedule.length) return -1
      const wanted = schedule[at] as number
      const index = agents.subarray(0, count).indexOf(wanted)
      if (index < 0)
        throw new ScheduleMismatch(`step ${step} of the schedule wants agent ${wanted}, which cannot run: the code has changed`)
      step++
      if (++used >= (schedule[at + 1] as number)) {
        at += 2
        used = 0
      }
      return index
    },
  }
}

/** Adds one choice to a schedule. */
export function record(schedule: number[], agent: number): void {
  const end = schedule.length
  if (end > 0 && schedule[end - 2] === agent) schedule[end - 1] = (schedule[end - 1] as number) + 1
  else schedule.push(agent, 1)
}
