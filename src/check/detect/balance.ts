// Whatever is entered is left: RCU sections (and with them pteOffsetMap and pteUnmap), interrupts off, locks, at the end of
// each call and interrupt and on the way out of the kernel, and the kernel itself; and nobody releases what it does not hold.
import { contextMode, Mode } from '../../kernel/machine/entry.ts'
import { addFact, agentName, cpuOf, type Detector, hex, place, type Scene } from './scene.ts'
import type { Held, Sections } from './sections.ts'

/** Watches that sections and locks are balanced. */
export function detectImbalance(scene: Scene, sections: Sections): Detector {
  const { Cpu } = scene.machine.tree.percpu
  /** For each CPU the mode in which the execution began, and its latest call. */
  const first = new Uint8Array(scene.cpus)
  const begunIn = new Uint8Array(scene.cpus)
  const mode = (cpu: number): number => contextMode(scene.words[scene.area(cpu) + Cpu.context] as number)
  const wrong = (agent: number, message: string, objects: number[]): void =>
    scene.report({
      detector: 'unbalanced',
      bookkeeping: true,
      message: `unbalanced: ${agentName(scene, agent)} ${message}`,
      agent,
      objects,
      related: [],
    })
  sections.onStrayRelease = (agent, lock, site) => {
    const holder = sections.holder(lock)
    const who = holder < 0 ? 'nobody holds' : `${agentName(scene, holder)} holds`
    wrong(agent, `releases lock ${hex(lock)} at ${place(scene, site)}, which ${who}`, [lock])
  }
  const leaves = (agent: number, when: string, sleepingToo: boolean): void => {
    const depth = sections.rcuDepth[agent] as number
    if (depth > 0) wrong(agent, `${when} inside the RCU section from ${place(scene, sections.rcuSite[agent] as number)}`, [])
    if (agent < scene.cpus && sections.irqOff(agent))
      wrong(agent, `${when} with interrupts off since ${place(scene, sections.irqSite[agent] as number)}`, [])
    for (let i = 0; i < (sections.heldCount[agent] as number); i++) {
      const { lock, spins, site } = (sections.held[agent] as Held[])[i] as Held
      if (spins || sleepingToo) wrong(agent, `${when} holding lock ${hex(lock)}, taken at ${place(scene, site)}`, [lock])
    }
  }
  return {
    step: (agent, _op, a, _b, _c, before, after, site) => {
      if (a !== scene.area(cpuOf(scene, agent)) + Cpu.context || before === after) return
      if (contextMode(after) !== Mode.kernel && contextMode(before) === contextMode(after))
        wrong(agent, `leaves the kernel at ${place(scene, site)}, which it never entered`, [])
      if (contextMode(after) !== Mode.kernel) leaves(agent, `leaves the kernel at ${place(scene, site)}`, false)
    },
    note: (agent, _op, _a, _b, _c, site) => {
      if ((sections.rcuDepth[agent] as number) < 0) wrong(agent, `leaves an RCU section at ${place(scene, site)} that it never entered`, [])
    },
    save: () => {
      const kept = begunIn.slice()
      return () => begunIn.set(kept)
    },
    reset: () => {
      for (let cpu = 0; cpu < scene.cpus; cpu++) first[cpu] = mode(cpu)
      begunIn.set(first)
    },
    digest: (into) => {
      for (let cpu = 0; cpu < scene.cpus; cpu++) if (begunIn[cpu] !== first[cpu]) addFact(into, 0xba1a + cpu, begunIn[cpu] as number)
    },
    callBegins: (cpu) => {
      begunIn[cpu] = mode(cpu)
    },
    callReturns: (cpu, call) => {
      leaves(cpu, `returns from call ${call}`, true)
      if (mode(cpu) === Mode.kernel && begunIn[cpu] !== Mode.kernel) wrong(cpu, `returns from call ${call} without leaving the kernel`, [])
    },
    interruptReturns: (cpu) => leaves(scene.cpus + cpu, 'returns from its handler', true),
  }
}
