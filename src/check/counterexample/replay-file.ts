// A violation in a file: enough to run the same execution again, and to say where the code has changed if it does not.
import { UNKNOWN_SITE } from '../../compile/sites.ts'
import type { Path } from '../explore/index.ts'
import type { Recording } from './recording.ts'
import { signatureOf } from './signature.ts'

/** What a replay file holds. `format` counts breaking changes. */
export interface ReplayFile {
  readonly gracewalkReplay: 1
  readonly scenario: string
  readonly combination: {
    readonly design: string
    readonly arch: string
    readonly freeing: string
    /** Where they are not the usual ones. */
    readonly index?: string
    readonly rcu?: string
    readonly tables?: string
  }
  /** Where the design is a file of the user's: the hash of its text (see `DesignFile`). */
  readonly designHash?: string
  /** `[agent, times, …]`. */
  readonly path: Path
  readonly failure: string
  /** The detector that found it, or null. Not in files of the first version. */
  readonly detector?: string | null
  /** Several executions showed it: the path alone does not. */
  readonly acrossExecutions?: boolean
  /** The code along the path: distinct steps as `function file instruction`, and for each step of the path its number. */
  readonly code: { readonly steps: readonly string[]; readonly sequence: readonly number[] }
}

/** Whether a replay was what the file says. */
export type ReplayVerdict =
  | { readonly same: true }
  | {
      readonly same: false
      /** First step of the path that differs, or -1: all steps are the same, but the failure is not. */
      readonly step: number
      readonly message: string
    }

/** What each step of the path was, as `function file instruction`. */
export function stepsOf({ events, machine }: Recording): string[] {
  const steps: string[] = []
  for (const event of events) {
    if (event.kind === 'interrupt-begins') steps.push(`CPU ${event.cpu}: an IPI arrives`)
    else if (event.kind === 'step') {
      const site = machine.tree.sites[event.site] ?? UNKNOWN_SITE
      const place = site.file === '' ? '' : ` at ${site.function} ${site.file}`
      steps.push(`CPU ${event.cpu}${event.interrupt ? ' (interrupt)' : ''}: ${event.name}${place}`)
    }
  }
  return steps
}

/** The file of a recorded violation. */
export function replayFile(
  scenario: string,
  combination: ReplayFile['combination'],
  path: Path,
  recording: Recording,
  designHash?: string,
): ReplayFile {
  const numbers = new Map<string, number>()
  const sequence = stepsOf(recording).map((step) => {
    const number = numbers.get(step) ?? numbers.size
    numbers.set(step, number)
    return number
  })
  return {
    gracewalkReplay: 1,
    scenario,
    combination,
    ...(designHash === undefined ? {} : { designHash }),
    path,
    failure: recording.failure,
    detector: recording.violation?.detector ?? null,
    ...(recording.acrossExecutions ? { acrossExecutions: true } : {}),
    code: { steps: [...numbers.keys()], sequence },
  }
}

/** The text of a replay file. */
export function writeReplay(file: ReplayFile): string {
  return `${JSON.stringify(file)}\n`
}

/** Reads a replay file's text. Throws with the reason if it is none. */
export function readReplay(text: string): ReplayFile {
  let file: ReplayFile
  try {
    file = JSON.parse(text) as ReplayFile
  } catch (error) {
    throw new Error(`not a replay file: ${error instanceof Error ? error.message : error}`)
  }
  if (typeof file !== 'object' || file === null || !('gracewalkReplay' in file)) throw new Error('not a replay file of gracewalk check')
  if (file.gracewalkReplay !== 1) throw new Error(`the replay file has format ${file.gracewalkReplay}; this version reads format 1`)
  const { scenario, combination, path, failure, code } = file
  const numbers = (list: unknown): boolean => Array.isArray(list) && list.every((one) => Number.isInteger(one) && one >= 0)
  const sound =
    typeof scenario === 'string' &&
    typeof failure === 'string' &&
    typeof combination?.design === 'string' &&
    typeof combination.arch === 'string' &&
    typeof combination.freeing === 'string' &&
    [combination.index, combination.rcu, combination.tables].every((value) => value === undefined || typeof value === 'string') &&
    numbers(path) &&
    path.length % 2 === 0 &&
    Array.isArray(code?.steps) &&
    numbers(code.sequence)
  if (!sound) throw new Error('the replay file is damaged: fields are missing or of the wrong type')
  return file
}

/** Compares what a replay did with what the file says it must do. */
export function compareReplay(file: ReplayFile, recording: Recording): ReplayVerdict {
  const found = stepsOf(recording)
  const { steps, sequence } = file.code
  for (let step = 0; step < sequence.length; step++) {
    const expected = steps[sequence[step] as number] ?? '(unknown)'
    if (found[step] === expected) continue
    const instead =
      found[step] === undefined ? `the execution cannot go on there (${recording.mismatch || 'it ended'})` : `found ${found[step]}`
    return { same: false, step, message: `the code has changed: step ${step} was ${expected}; ${instead}` }
  }
  if (isSameFailure(file, recording)) return { same: true }
  const now = recording.failure === '' ? 'nothing is wrong at its end' : `what is wrong now is: ${recording.failure}`
  return { same: false, step: -1, message: `the code has changed: every step is as it was, but ${now}` }
}

/** The same words of the same detector: lines and addresses move when the code does. */
function isSameFailure(file: ReplayFile, { failure, violation }: Recording): boolean {
  if (failure === '') return file.failure === '' || file.acrossExecutions === true
  if (signatureOf(failure, null) !== signatureOf(file.failure, null)) return false
  return file.detector === undefined || file.detector === (violation?.detector ?? null)
}
