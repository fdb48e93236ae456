// How a search goes back: to a state that was saved close above the node where it is to go on, and by steps from there. Not every
// node is saved, because saving costs as much as a few steps. A model that cannot save is reset and takes all steps.
import { BeganOtherwise, type Model } from './model.ts'
import { beginSegments, type Segments, saveSegments, stepSegments } from './states-segments.ts'

/** The path under way. */
export interface SavedPath {
  readonly model: Model
  readonly segments: Segments | null
  readonly depth: number
  readonly agentOf: Uint8Array
  /** Whether states are saved. */
  saving: boolean
  /** At some nodes what brings the model and the segments back to them; at the others null. */
  readonly saves: ((() => boolean) | null)[]
}

/** Goes back to the deepest node of the path that was saved, or to the beginning. Returns its depth. */
export function bringBack({ model, segments, saves, depth }: SavedPath): number {
  for (let d = depth; d >= 0; d--) {
    if (saves[d]?.() === true) return d
    saves[d] = null
  }
  if (segments !== null) beginSegments(segments)
  model.reset()
  return 0
}

/** Nodes from one that is saved to the next, at least. */
const APART = 4

/** Saves the node that the path has come to, unless one close above it is. */
export function saveNode({ model, segments, saves, depth, saving }: SavedPath): void {
  if (model.save === undefined || !saving || saves[depth] !== null) return
  for (let d = depth - 1; d > depth - APART && d >= 0; d--) if (saves[d] !== null) return
  const back = model.save()
  const segmentsBack = segments === null ? null : saveSegments(segments)
  saves[depth] = () => {
    if (!back()) return false
    segmentsBack?.()
    return true
  }
}

/** Has `agent` take its step, of `footprint`, at node `depth` of the path. */
export function stepFrom(path: SavedPath, depth: number, agent: number, footprint: number): void {
  const { model, segments } = path
  if (segments !== null) stepSegments(segments, agent, footprint)
  try {
    model.step(agent)
  } catch (error) {
    if (!(error instanceof BeganOtherwise)) throw error
    stepAll(path, depth)
    if (segments !== null) stepSegments(segments, agent, footprint)
    model.step(agent)
  }
}

/** Comes to node `depth` by steps from the beginning, and saves no more. */
function stepAll(path: SavedPath, depth: number): void {
  const { model, segments, saves, agentOf } = path
  path.saving = false
  saves.fill(null)
  const judging = segments?.judging ?? false
  if (segments !== null) {
    beginSegments(segments)
    segments.judging = false
  }
  model.reset()
  for (let d = 0; d < depth; d++) {
    if (segments !== null) stepSegments(segments, agentOf[d] as number, 0)
    model.step(agentOf[d] as number)
  }
  if (segments === null) return
  segments.judging = judging
  segments.inner = false
  segments.owners = false
}
