// A scenario's set-up, run and looked at: what its author got wrong comes out as one sentence that names the scenario and the
// place, not as a stack of ours.
import { fileURLToPath } from 'node:url'
import type { Play, Scenario } from '../scenario.ts'
import { ScenarioError } from './errors.ts'
import type { Stage } from './stage.ts'

/** What is ours: frames in it say nothing to the author of a scenario. */
const OURS = new URL('../../', import.meta.url).href

/** Runs the set-up of `scenario` on `stage`. Throws `ScenarioError` where it throws or returns something that cannot be played. */
export async function playOf(scenario: Scenario, stage: Stage): Promise<Play> {
  let play: Play
  try {
    play = await scenario.setUp(stage)
  } catch (error) {
    throw authorsError(scenario, 'setUp', error)
  }
  const wrong = whatIsWrong(scenario, play)
  if (wrong !== '') throw new ScenarioError(`scenario ${scenario.name}: ${wrong}`)
  const { check } = play
  if (check === undefined) return play
  return {
    ...play,
    check: (results) => {
      let said: unknown
      try {
        said = check(results)
      } catch (error) {
        throw authorsError(scenario, 'check', error)
      }
      if (typeof said === 'string') return said
      throw new ScenarioError(`scenario ${scenario.name}: check returned ${String(said)}; it must say what is wrong, or ''`)
    },
  }
}

function whatIsWrong({ cpus }: Scenario, play: unknown): string {
  if (typeof play !== 'object' || play === null || !('calls' in play) || !Array.isArray(play.calls))
    return 'setUp must return { calls }, with an array of calls for each CPU'
  const { calls } = play
  if (calls.length > cpus) return `setUp gives calls to ${calls.length} CPUs, but the scenario has ${cpus}`
  for (const [cpu, list] of calls.entries()) {
    if (!Array.isArray(list)) return `the calls of CPU ${cpu} are not an array`
    for (const [number, call] of list.entries()) {
      if (typeof call?.begin !== 'function') return `call ${number} of CPU ${cpu} is none: use what the stage and newMm() make`
    }
  }
  if (calls.flat().length === 0) return 'no CPU makes a call, so there is nothing to explore'
  return ''
}

/** What a function of the author's threw. */
function authorsError({ name }: Scenario, where: string, error: unknown): Error {
  if (error instanceof ScenarioError) return new ScenarioError(`scenario ${name}: ${error.message}`, { cause: error })
  const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error)
  return new ScenarioError(`scenario ${name}: ${where} threw ${text}${placeOf(error)}`, { cause: error })
}

/** ` (mine.mjs:12)`: the first line of the stack that is not ours, or nothing. */
function placeOf(error: unknown): string {
  const frames = error instanceof Error ? (error.stack ?? '').split('\n') : []
  for (const frame of frames) {
    const [, url, line] = /(file:\/\/\S+?)(?:\?\S*?)?:(\d+):\d+\)?$/.exec(frame) ?? []
    if (url !== undefined && !url.startsWith(OURS)) return ` (${fileURLToPath(url)}:${line})`
  }
  return ''
}
