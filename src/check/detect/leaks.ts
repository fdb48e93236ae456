// Leaks: what was allocated since the baseline and is still in use after every address space has gone and the grace periods
// are over. Pages that a slab cache has cut up are its own and stay.
import { PAGE_STRUCT_SHIFT, Page, PageFlag } from '../../kernel/memory/page.ts'
import { type Objects, State } from './objects.ts'
import { agentName, type Detector, describeEvent, hex, place, type Scene } from './scene.ts'
import type { Held, Sections } from './sections.ts'

/** Finds what is left over. */
export interface Leaks extends Detector {
  /** What is in use now is nobody's leak. */
  baseline(): void
  /** What is left over, the first of it by name and how many more; or ''. Also tells the scene. */
  leaks(): string
}

/** Compares what is in use with a baseline: nothing, until one is taken. */
export function detectLeaks(scene: Scene, objects: Objects, sections: Sections): Leaks {
  const before = new Set<number>()
  const isSlabPage = (object: number): boolean => {
    if (object > scene.nrFrames) return false
    return ((scene.words[scene.pages + ((object - 1) << PAGE_STRUCT_SHIFT) + Page.flags] as number) & PageFlag.slab) !== 0
  }
  const report = (message: string, words: number[], related: ReturnType<Objects['allocation']>[]): string => {
    scene.report({ detector: 'leak', bookkeeping: false, message, agent: -1, objects: words, related })
    return message
  }
  return {
    baseline: () => {
      before.clear()
      for (let object = 1; object < objects.count; object++) if (objects.state(object) === State.used) before.add(object)
    },
    leaks: () => {
      for (let agent = 0; agent < scene.agents; agent++) {
        if ((sections.heldCount[agent] as number) > 0) {
          const { lock, site } = (sections.held[agent] as Held[])[0] as Held
          return report(`leak: ${agentName(scene, agent)} still holds lock ${hex(lock)}, taken at ${place(scene, site)}`, [lock], [])
        }
        if ((sections.rcuDepth[agent] as number) !== 0)
          return report(
            `leak: ${agentName(scene, agent)} is still inside the RCU section from ${place(scene, sections.rcuSite[agent] as number)}`,
            [],
            [],
          )
      }
      const left: number[] = []
      for (let object = 1; object < objects.count; object++) {
        if (objects.state(object) === State.used && !before.has(object) && !isSlabPage(object)) left.push(object)
      }
      const first = left[0]
      if (first === undefined) return ''
      const event = objects.allocation(first)
      const more = left.length > 1 ? ` (and ${left.length - 1} more)` : ''
      return report(`leak: ${objects.name(first)}, ${describeEvent(scene, event)}, is still in use${more}`, left.map(objects.first), [
        event,
      ])
    },
  }
}
