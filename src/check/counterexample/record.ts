// Replays a path and records everything that happens along it.

import { type Model, type Path, PathMismatch, replay } from '../explore/index.ts'
import { Status } from '../explore/model.ts'
import type { Recorder, Recording } from './recording.ts'

/**
 * Records the execution of `model` along `path`. `recorder.watch` must be the watch that the model was made with. A path that
 * cannot be followed is no error here: the recording ends where it could not go on and says so in `mismatch`.
 */
export function record(model: Model, recorder: Recorder, path: Path): Recording {
  recorder.start()
  let failure = ''
  let mismatch = ''
  try {
    // `replay` counts its steps for its messages only where somebody listens.
    failure = replay(model, path, () => undefined)
  } catch (error) {
    if (!(error instanceof PathMismatch)) {
      recorder.stop('', 0, '')
      throw error
    }
    mismatch = error.message
  }
  let blocked = 0
  for (let agent = 0; agent < model.agents; agent++) if (model.status(agent) === Status.blocked) blocked |= 1 << agent
  // What the code threw: nothing happens after that.
  if (mismatch === '' && model.failure() !== '') recorder.mark()
  return recorder.stop(failure, blocked, mismatch)
}
