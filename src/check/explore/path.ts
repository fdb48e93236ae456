// Paths: who ran, in which order. Small, and replays.

/** `[agent, times, agent, times, …]`: who ran how many steps in a row. */
export type Path = readonly number[]

/** A sequence of agents as pairs of agent and how many times in a row. */
export function compress(agents: ArrayLike<number>): Path {
  const path: number[] = []
  for (let i = 0; i < agents.length; i++) {
    const agent = agents[i] as number
    if (path.length > 0 && path[path.length - 2] === agent) path[path.length - 1] = (path[path.length - 1] as number) + 1
    else path.push(agent, 1)
  }
  return path
}
