// Sleeping where one must not: inside an RCU section, with interrupts off, under a spinlock, in an interrupt handler; and as a CPU that
// counts as inside the kernel, whose thread answers no IPI while it sleeps.
import { Op } from '../../compile/stepped/ops.ts'
import { Mode } from '../../kernel/machine/entry.ts'
import { agentName, type Detector, hex, place, type Scene } from './scene.ts'
import type { Held, Sections } from './sections.ts'

const INSIDE = 'inside the kernel (Mode.kernel), where others wait until it answers their IPIs'

/** Watches everything that sleeps or may. A device answers in any case. */
export function detectAtomicContext(scene: Scene, sections: Sections): Detector {
  const judge = (agent: number, site: number, what: string, forbidden = ''): void => {
    const where = forbids(agent) || forbidden
    if (where === '') return
    scene.report({
      detector: 'sleep-in-atomic',
      bookkeeping: false,
      message: `${agentName(scene, agent)} ${what} at ${place(scene, site)} ${where}`,
      agent,
      objects: [],
      related: [],
    })
  }
  const forbids = (agent: number): string => {
    if (agent >= scene.cpus) return 'in an interrupt handler'
    if ((sections.rcuDepth[agent] as number) > 0) return `inside the RCU section from ${place(scene, sections.rcuSite[agent] as number)}`
    if (sections.irqOff(agent)) return `with interrupts off since ${place(scene, sections.irqSite[agent] as number)}`
    for (let i = 0; i < (sections.heldCount[agent] as number); i++) {
      const one = (sections.held[agent] as Held[])[i] as Held
      if (one.spins) return `holding spinlock ${hex(one.lock)}`
    }
    return ''
  }
  return {
    step: (agent, op, _a, _b, _c, _before, _after, site) => {
      if (op === Op.futexWait) judge(agent, site, 'sleeps', sections.mode(agent) === Mode.kernel ? INSIDE : '')
      else if (op === Op.blockOnIo) judge(agent, site, 'waits for a device')
    },
    note: (agent, op, _a, _b, _c, site) => {
      if (op === Op.mightSleep) judge(agent, site, 'may sleep')
    },
  }
}
