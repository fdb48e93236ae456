// Use of freed memory, also when it was reused at once: each agent knows objects by the generation that they had when it
// obtained them (a value that it loaded named the object, it allocated it, or it touched it first), and an access to an
// object of another generation is a use of what was freed. Also: memory freed twice, and memory reused while a walker that
// found it in its old place is still inside its section, even if it never looks again.
//
// Objects of type-safe slabs may be looked at after their freeing by whoever is inside a section; what it then makes of
// them is its own business, so each such look counts as obtaining the object as it is.
import { Op } from '../../compile/stepped/ops.ts'
import { Kind } from '../../kernel/machine/annotations.ts'
import { Mode } from '../../kernel/machine/entry.ts'
import { PAGE_STRUCT_SHIFT, Page } from '../../kernel/memory/page.ts'
import { Cache } from '../../kernel/memory/slab.ts'
import { PFN_SHIFT, Pte, upperIsTable, upperTable } from '../../kernel/pagetable/entries.ts'
import { createUndo, forgetUndo, momentOf, noteOld, refill, takeBack } from '../undo.ts'
import { onWord } from '../word-operation.ts'
import { type Objects, State } from './objects.ts'
import { addFact, agentName, type Detector, describeEvent, place, type Scene } from './scene.ts'
import type { Sections } from './sections.ts'

/** Low bits of a pointer that may be a tag. */
const TAG = 15

/** Watches accesses by the generation of what they touch. */
export function detectUseAfterFree(scene: Scene, objects: Objects, sections: Sections): Detector {
  const { agents, words, pages, nrFrames } = scene
  const lastStructPage = pages + (nrFrames << PAGE_STRUCT_SHIFT)
  let known: Int32Array = new Int32Array(0)
  let found: Int32Array = new Int32Array(0)
  const lists: number[][] = Array.from({ length: agents }, () => [])
  const room = (): void => {
    if (objects.count * agents <= known.length) return
    const grow = (old: Int32Array): Int32Array => {
      const to = new Int32Array(objects.count * agents * 2)
      to.set(old)
      return to
    }
    known = grow(known)
    found = grow(found)
  }
  const knownUndo = createUndo()
  const foundUndo = createUndo()
  const putKnown = (pair: number, value: number): void => {
    noteOld(knownUndo, pair, known[pair] as number)
    known[pair] = value
  }
  const putFound = (pair: number, value: number): void => {
    if (found[pair] === value) return
    noteOld(foundUndo, pair, found[pair] as number)
    found[pair] = value
  }
  const know = (agent: number, object: number): void => {
    const pair = object * agents + agent
    if (known[pair] === 0) (lists[agent] as number[]).push(object)
    if (known[pair] !== objects.generation(object)) putKnown(pair, objects.generation(object))
    // Who knows a part of a page will know the page for another when it comes back as something else.
    const page = objects.pageOf(object)
    if (page !== 0 && known[page * agents + agent] === 0) know(agent, page)
  }
  const find = (agent: number, object: number): void => {
    putFound(object * agents + agent, sections.section[agent] as number)
    const page = objects.pageOf(object)
    if (page !== 0) putFound(page * agents + agent, sections.section[agent] as number)
  }
  const forget = (agent: number): void => {
    const list = lists[agent] as number[]
    for (let i = 0; i < list.length; i++) {
      putKnown((list[i] as number) * agents + agent, 0)
      putFound((list[i] as number) * agents + agent, 0)
    }
    list.length = 0
  }
  /** Whether a walker may count on the object staying what it is while it is inside its section. */
  const isKept = (agent: number, object: number): boolean => {
    if (objects.isTable(object) || objects.cache(object) === Cache.mapleNode) return true
    return objects.kind(object) === Kind.page && sections.mode(agent) === Mode.user
  }
  const wrong = (agent: number, object: number, p: number, site: number, what: string): void => {
    const events = [objects.freeing(object)]
    let text = `${what} word ${p - objects.first(object)} of ${objects.name(object)}`
    if (p < objects.first(object) || p >= objects.first(object) + objects.words(object))
      text = `${what} the lock of ${objects.name(object)}`
    text += `, which was ${describeEvent(scene, events[0] as (typeof events)[0])}`
    if (objects.state(object) === State.used) {
      events.push(objects.allocation(object))
      text += ` and ${describeEvent(scene, { ...(events[1] as (typeof events)[0]), text: 'allocated again' })}`
    }
    scene.report({
      detector: 'use-after-free',
      bookkeeping: false,
      message: `use after free: ${agentName(scene, agent)} at ${place(scene, site)} ${text}`,
      agent,
      objects: [objects.first(object)],
      related: events,
    })
  }
  const access = (agent: number, p: number, site: number, what: string): void => {
    const object = objects.at(p)
    if (object === 0 || objects.isAllocator(site)) return
    const state = objects.state(object)
    if (state === State.never) return
    const pair = object * agents + agent
    const then = known[pair]
    const section = sections.section[agent] as number
    if (state === State.free || (then !== 0 && then !== objects.generation(object))) {
      if (objects.kind(object) !== Kind.typesafeSlab || section === 0) {
        wrong(agent, object, p, site, what)
        return
      }
      know(agent, object)
    } else if (then === 0) know(agent, object)
    if (section !== 0 && isKept(agent, object)) find(agent, object)
  }
  const learnObject = (agent: number, object: number, walked: boolean): void => {
    if (object === 0 || objects.state(object) === State.never) return
    know(agent, object)
    if (walked && isKept(agent, object)) find(agent, object)
  }
  const learn = (agent: number, p: number, value: number, site: number): void => {
    if (value === 0 || objects.isAllocator(site)) return
    const holder = objects.at(p)
    if (holder !== 0 && objects.isTable(holder)) {
      const below = upperIsTable(value) ? objects.at(upperTable(value)) : 0
      if (below !== 0 && objects.isTable(below) && objects.state(below) === State.used) learnObject(agent, below, true)
      else if ((value & (Pte.present | Pte.protnone)) !== 0) learnObject(agent, objects.ofFrame(value >>> PFN_SHIFT), true)
      return
    }
    if (value < 0 || value >= words.length) return
    if (value >= pages && value < lastStructPage) {
      if (((value - pages) & (Page.size - 1)) <= Page.rcuHead) learnObject(agent, objects.ofStructPage(value), false)
      return
    }
    const object = objects.at(value)
    if (object !== 0 && value - objects.first(object) <= TAG) learnObject(agent, object, false)
  }
  const lockOfTable = (agent: number, p: number, site: number): void => {
    if (p < pages || p >= lastStructPage || ((p - pages) & (Page.size - 1)) !== Page.ptl) return
    const object = objects.ofStructPage(p)
    const then = known[object * agents + agent] as number
    if (objects.kind(object) !== Kind.table && then === 0) return
    if (objects.state(object) === State.free || (then !== 0 && then !== objects.generation(object)))
      wrong(agent, object, p, site, 'touches')
  }
  const reused = (object: number, agent: number): void => {
    for (let other = 0; other < agents; other++) {
      if (other === agent) continue
      const section = sections.section[other] as number
      if (section === 0 || found[object * agents + other] !== section) continue
      const freeing = objects.freeing(object)
      scene.report({
        detector: 'reused-in-section',
        bookkeeping: false,
        message:
          `reused too early: ${agentName(scene, agent)} allocates ${objects.name(object)} at ${place(scene, objects.allocation(object).site)} ` +
          `(${describeEvent(scene, freeing)}) while ${agentName(scene, other)}, which found it in its old place, is still inside ` +
          `${(sections.rcuDepth[other] as number) > 0 ? `its RCU section from ${place(scene, sections.rcuSite[other] as number)}` : sections.mode(other) === Mode.user ? 'a user access' : 'a region with interrupts off'}`,
        agent,
        objects: [objects.first(object)],
        related: [freeing, objects.allocation(object)],
      })
    }
  }
  objects.watchers.push((object, agent, fresh, before, site) => {
    room()
    if (fresh ? before === State.used : before === State.free) {
      const then = fresh ? objects.allocation(object) : objects.freeing(object)
      scene.report({
        detector: fresh ? 'double-allocation' : 'double-free',
        bookkeeping: false,
        message: `${fresh ? 'allocated twice' : 'freed twice'}: ${objects.name(object)} by ${agentName(scene, agent)} at ${place(scene, site)}`,
        agent,
        objects: [objects.first(object)],
        related: [then],
      })
    }
    if (scene.deaf) return
    if (fresh) {
      reused(object, agent)
      know(agent, object)
    } else if (known[object * agents + agent] !== 0) {
      putKnown(object * agents + agent, 0)
      putFound(object * agents + agent, 0)
      const list = lists[agent] as number[]
      list[list.indexOf(object)] = list[list.length - 1] as number
      list.length--
    }
  })
  return {
    reset: () => {
      room()
      for (let agent = 0; agent < agents; agent++) forget(agent)
      forgetUndo(knownUndo)
      forgetUndo(foundUndo)
    },
    save: () => {
      const moments = [momentOf(knownUndo), momentOf(foundUndo)] as const
      const kept = lists.map((list) => list.slice())
      return () => {
        takeBack(knownUndo, moments[0], known)
        takeBack(foundUndo, moments[1], found)
        for (let agent = 0; agent < agents; agent++) refill(lists[agent] as number[], kept[agent] as number[])
      }
    },
    snapshot: room,
    callReturns: (cpu) => forget(cpu),
    interruptReturns: (cpu) => forget(scene.cpus + cpu),
    step: (agent, op, a, _b, _c, before, _after, site) => {
      if (!onWord(op)) return
      access(agent, a, site, op === Op.readOnce || op === Op.smpLoadAcquire || op === Op.rcuDereference ? 'reads' : 'writes')
      if (op <= Op.cmpxchg || op === Op.xchg) lockOfTable(agent, a, site)
      if (op !== Op.writeOnce && op !== Op.smpStoreRelease && op !== Op.rcuAssignPointer) learn(agent, a, before, site)
    },
    plain: (agent, op, a, b, _c, site) => {
      if (scene.deaf) return
      if (op === Op.load) {
        access(agent, a, site, 'reads')
        learn(agent, a, words[a] as number, site)
      } else if (op === Op.store) access(agent, a, site, 'writes')
      else if (op === Op.zeroPage) access(agent, a, site, 'zeroes from')
      else if (op === Op.copyPage) {
        access(agent, b, site, 'copies from')
        access(agent, a, site, 'copies to')
      }
    },
    digest: (into) => {
      // Of which generation an agent knows an object, if not of the present one, does not matter.
      for (let agent = 0; agent < agents; agent++) {
        const list = lists[agent] as number[]
        const section = sections.section[agent] as number
        for (let i = 0; i < list.length; i++) {
          const object = list[i] as number
          const pair = object * agents + agent
          const bits = (known[pair] === objects.generation(object) ? 2 : 0) | (section !== 0 && found[pair] === section ? 1 : 0)
          addFact(into, 0xface + agent, objects.first(object) * 4 + bits)
        }
      }
    },
  }
}
