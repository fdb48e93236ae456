// Replays a path and records everything that happens along it.

import { type Model, type Path, PathMismatch, replay } from '../explore/index.ts'
import { Status } from '../explore/model.ts'
import type { Recorder, Recording } from './recording.ts'

/**
 * Records the execution of `model` along `path`. `recorder.watch` must be the watch that the model was made with. A path that
 * cannot be followed is no error here: the recording ends where it could not go on and says so in `mismatch`.
 * `expectedFailure`: what the exploration said; if nothing is wrong along the path alone, it is taken as seen across executions.
 */
export function record(model: Model, recorder: Recorder, path: Path, expectedFailure = ''): Recording {
  recorder.start()
  let failure = ''
  let mismatch = ''
  try {
    // `replay` counts its steps for its messages only where somebody listens.
    failure = replay(model, path, () => undefined)
  } catch (error) {
    // The tear-down may throw in the middle of a call; what was seen across executions need not be judged there.
    if (!(error instanceof PathMismatch) && expectedFailure === '') {
      recorder.stop('', 0, '')
      throw error
    }
    if (error instanceof PathMismatch) mismatch = error.message
  }
  let blocked = 0
  for (let agent = 0; agent < model.agents; agent++) if (model.status(agent) === Status.blocked) blocked |= 1 << agent
  // What the code threw: nothing happens after that.
  if (mismatch === '' && model.failure() !== '') recorder.mark()
  const recording = recorder.stop(failure, blocked, mismatch)
  if (failure !== '' || mismatch !== '' || expectedFailure === '') return recording
  return { ...recording, failure: expectedFailure, acrossExecutions: true }
}
