// Accesses through NULL: the words below the globals belong to nothing, so that whoever reads or writes one of them took 0 for
// the address of a structure.
import { Op } from '../../compile/stepped/ops.ts'
import { GLOBALS } from '../../kernel/machine/globals.ts'
import { onEntry, onWord } from '../word-operation.ts'
import { agentName, type Detector, place, type Scene } from './scene.ts'

/** Watches for accesses to the first words of a whole machine (small ones for tests have no globals). */
export function detectNullPointers(scene: Scene): Detector {
  if (scene.nrFrames === 0) return {}
  const judge = (agent: number, p: number, site: number, verb: string): void => {
    if (p >= GLOBALS) return
    scene.report({
      detector: 'null-pointer',
      bookkeeping: false,
      message: `NULL pointer: ${agentName(scene, agent)} ${verb} word ${p} of NULL at ${place(scene, site)}`,
      agent,
      objects: [],
      related: [],
    })
  }
  return {
    step: (agent, op, a, _b, _c, _before, _after, site) => {
      if (onWord(op) || onEntry(op)) judge(agent, a, site, 'accesses')
    },
    plain: (agent, op, a, b, _c, site) => {
      if (op === Op.load) judge(agent, a, site, 'reads')
      else if (op === Op.store) judge(agent, a, site, 'writes')
      else if (op === Op.zeroPage) judge(agent, a, site, 'zeroes from')
      else if (op === Op.copyPage) {
        judge(agent, b, site, 'copies from')
        judge(agent, a, site, 'copies to')
      }
    },
  }
}
