// What all detectors look at together: the machine, whose event is told now, and the one violation that was seen first. A
// detector is a part of a watch; `detectors.ts` puts them together and keeps this up to date.
import { formatSite, type Site, UNKNOWN_SITE } from '../../compile/sites.ts'
import { Global } from '../../kernel/machine/globals.ts'
import type { Machine } from '../execution.ts'
import type { RelatedEvent, Violation } from '../violation.ts'
import type { Watch } from '../watch.ts'

/** One detector: what it wants to be told. `snapshot`: what it knows now is how each execution begins. */
export interface Detector extends Partial<Omit<Watch, 'failure' | 'finish'>> {
  snapshot?(): void
  /** The end of an execution: `blocked` agents wait for ever. */
  finish?(blocked: number): void
}

/** What detectors share. Agent c is CPU c's task, agent `cpus + c` its interrupt handler. */
export interface Scene {
  readonly machine: Machine
  readonly words: Int32Array
  readonly sites: readonly Site[]
  readonly cpus: number
  readonly agents: number
  /** `struct page` of frame 0, first word of frame 0, how many: 0 on a machine without page frames. */
  readonly pages: number
  readonly frames: number
  readonly nrFrames: number
  /** Events told since the execution began. */
  event: number
  /** Steps are not told (set-up and tear-down): only what annotations say can be judged. */
  deaf: boolean
  violation: Violation | null
  /** The first word of CPU `cpu`'s area. */
  area(cpu: number): number
  /** Says what is wrong; the first to say so is heard. */
  report(violation: Violation): void
}

/** The scene of `machine`. */
export function createScene(machine: Machine): Scene {
  const { cpus, words, areas, tree } = machine
  const scene: Scene = {
    machine,
    words,
    sites: tree.sites,
    cpus,
    agents: cpus * 2,
    pages: words[Global.pages] as number,
    frames: words[Global.frames] as number,
    nrFrames: words[Global.nrFrames] as number,
    event: 0,
    deaf: false,
    violation: null,
    area: (cpu) => areas + cpu * tree.percpu.CPU_STRIDE,
    report: (violation) => {
      scene.violation ??= violation
    },
  }
  return scene
}

/** `CPU 1`, `CPU 1 (interrupt)`. */
export function agentName({ cpus }: Scene, agent: number): string {
  if (agent < 0) return 'the set-up'
  return agent < cpus ? `CPU ${agent}` : `CPU ${agent - cpus} (interrupt)`
}

/** The CPU on which `agent` runs. */
export function cpuOf({ cpus }: Scene, agent: number): number {
  return agent < cpus ? agent : agent - cpus
}

/** `function file:line` of place `site`. */
export function place({ sites }: Scene, site: number): string {
  return formatSite(sites[site] ?? UNKNOWN_SITE)
}

/** `freed by CPU 1 at putPage memory/rmap.ts:40`. */
export function describeEvent(scene: Scene, { text, agent, site }: RelatedEvent): string {
  return `${text} by ${agentName(scene, agent)} at ${place(scene, site)}`
}

/** A word address, as messages write it. */
export function hex(p: number): string {
  return `0x${p.toString(16)}`
}

/** Mixes two words into a well spread one: what digests are sums of. */
export function mix(a: number, b: number): number {
  let h = Math.imul(a ^ 0x9e3779b9, 0x85ebca6b) ^ Math.imul(b + 0x7f4a7c15, 0xc2b2ae35)
  h = Math.imul(h ^ (h >>> 15), 0x27d4eb2f)
  return h ^ (h >>> 13)
}

/** Adds the fact (`a`, `b`) to a digest; facts can be added in any order. */
export function addFact(into: Int32Array, a: number, b: number): void {
  const h = mix(a, b)
  into[0] = (into[0] as number) + h
  into[1] = (into[1] as number) + mix(h, a ^ 0x5bd1e995)
}
