// Stale translations: once munmap, MADV_DONTNEED, an mprotect that takes rights, a move, a replacing mmap or fork has returned,
// no user access may go through what a TLB held before. munmap is stricter: no access at all, until a call maps the range
// again. Goes by the descriptions of the calls.
import { Op } from '../../compile/stepped/ops.ts'
import { Mode } from '../../kernel/machine/entry.ts'
import { TLB_ENTRIES, TLB_ENTRY_WORDS } from '../../kernel/machine/percpu.ts'
import { PAGE_STRUCT_SHIFT, Page } from '../../kernel/memory/page.ts'
import { PIN_BIAS } from '../../kernel/memory/pin.ts'
import { Pte, ptePfn } from '../../kernel/pagetable/entries.ts'
import { TlbEntry } from '../../kernel/pagetable/tlb.ts'
import { Vm } from '../../kernel/vma/vma.ts'
import { onWord, storesWord } from '../word-operation.ts'
import { pteOf } from './address-space.ts'
import { type CallDescription, type CallRecord, type Calls, mapsInto } from './calls.ts'
import type { Objects } from './objects.ts'
import { addFact, agentName, type Detector, hex, place, type Scene } from './scene.ts'
import type { Sections } from './sections.ts'

const DONTNEED = 4

/** The range whose old translations a call makes invalid, and whether for writes only. */
function revoked(
  { name, start, pages, prot = 0, placement = 0, advice = DONTNEED, target, newPages = pages }: CallDescription,
  result: unknown,
) {
  const all = { from: start, to: start + pages, writesOnly: false }
  if (name === 'munmap' || name === 'exit' || (name === 'madvise' && advice === DONTNEED)) return all
  if (name === 'mprotect' && (prot & Vm.write) === 0) return { ...all, writesOnly: (prot & Vm.access) !== 0 }
  if (name === 'mmap' && placement === 1) return all
  if (name === 'mremap') return result === start && target === undefined ? { ...all, from: start + newPages } : all
  if (name === 'fork') return { from: 0, to: 0x7fffffff, writesOnly: true }
  return null
}

/** Watches user accesses. */
export function detectStaleTlb(scene: Scene, calls: Calls, objects: Objects, sections: Sections): Detector {
  const { cpus, words, frames, nrFrames, pages } = scene
  const { Cpu } = scene.machine.tree.percpu
  /** The event of each entry's latest fill, and the entry that each CPU used last. */
  const filled = new Int32Array(cpus * TLB_ENTRIES)
  const used = new Int32Array(cpus)
  /** Entries that were ever filled: few of all that there are. */
  const ever: number[] = []
  const isKnown = new Uint8Array(cpus * TLB_ENTRIES)
  const know = (number: number): void => {
    if (isKnown[number] !== 0) return
    isKnown[number] = 1
    ever.push(number)
  }
  const readOf = (number: number): number => {
    const cpu = Math.floor(number / TLB_ENTRIES)
    return scene.area(cpu) + Cpu.tlb + (number - cpu * TLB_ENTRIES) * TLB_ENTRY_WORDS + TlbEntry.read
  }
  const tlbSize = TLB_ENTRIES * TLB_ENTRY_WORDS
  const judgeOne = (cpu: number, record: CallRecord, vpn: number, frame: number, stores: boolean, fill: number): boolean => {
    const { description, began, returned, result } = record
    const range = revoked(description, result)
    if (range === null || vpn < range.from || vpn >= range.to || (range.writesOnly && !stores)) return false
    if (description.mm !== words[scene.area(cpu) + Cpu.currentMm]) return false
    if (description.name === 'munmap') {
      const remapped = calls.records.some(({ description: other, began: when, returned: end }) => {
        return when >= 0 && (end < 0 || end > began) && other.mm === description.mm && mapsInto(other, vpn, vpn + 1)
      })
      if (!remapped) return true
      if (fill >= returned) return false
    } else if (fill >= began) return false
    const pte = pteOf(words, description.mm, vpn)
    const object = objects.at(frame)
    if ((pte & Pte.present) !== 0 && objects.ofFrame(ptePfn(pte)) === object)
      return stores && (pte & Pte.write) === 0 && (range.writesOnly ? isPrivate(object) : true)
    return true
  }
  /** fork leaves shared and pinned pages writable. */
  const isPrivate = (object: number): boolean => {
    const page = pages + ((object - 1) << PAGE_STRUCT_SHIFT)
    return ((words[page + Page.mapping] as number) & 1) !== 0 && (words[page + Page.refcount] as number) < PIN_BIAS
  }
  const judge = (agent: number, p: number, stores: boolean, site: number): void => {
    if (agent >= cpus || p < frames || nrFrames === 0 || sections.mode(agent) !== Mode.user) return
    let entry = -1
    for (const record of calls.records) {
      if (!record.succeeded) continue // nor has one that is under way
      entry = used[agent] as number
      const at = scene.area(agent) + Cpu.tlb + entry * TLB_ENTRY_WORDS
      const frame = words[at + TlbEntry.frame] as number
      if (objects.at(frame) !== objects.at(p)) return
      const vpn = (words[at + TlbEntry.read] as number) - 1
      if (vpn < 0) return
      if (!judgeOne(agent, record, vpn, frame, stores, filled[agent * TLB_ENTRIES + entry] as number)) continue
      const { description, cpu } = record
      scene.report({
        detector: 'stale-tlb',
        bookkeeping: false,
        message:
          `stale translation: ${agentName(scene, agent)} ${stores ? 'writes to' : 'reads from'} page ${hex(vpn)} (${objects.name(objects.at(p))}) ` +
          `at ${place(scene, site)} after ${description.name} of it by CPU ${cpu} has returned`,
        agent,
        objects: [frame],
        related: [{ text: `${description.name} returned`, agent: cpu, site: 0, event: record.returned }],
      })
      return
    }
  }
  const tlbWord = (agent: number, p: number): number => {
    if (agent >= cpus) return -1
    const offset = p - scene.area(agent) - Cpu.tlb
    return offset >= 0 && offset < tlbSize && offset % TLB_ENTRY_WORDS === TlbEntry.frame ? Math.floor(offset / TLB_ENTRY_WORDS) : -1
  }
  return {
    snapshot: () => {
      for (let number = 0; number < isKnown.length; number++) if (words[readOf(number)] !== 0) know(number)
    },
    reset: () => {
      filled.fill(-1)
      used.fill(0)
    },
    save: () => {
      const keptFilled = filled.slice()
      const keptUsed = used.slice()
      return () => {
        filled.set(keptFilled)
        used.set(keptUsed)
      }
    },
    step: (agent, op, a, b, _c, before, _after, site) => {
      if (a >= frames && onWord(op) && !inTables(objects, a)) judge(agent, a, storesWord(op, before, b), site)
    },
    plain: (agent, op, a, _b, _c, site) => {
      if (op !== Op.load && op !== Op.store) return
      if (a >= frames) {
        if (!inTables(objects, a)) judge(agent, a, op === Op.store, site)
        return
      }
      const entry = tlbWord(agent, a)
      if (entry < 0) return
      used[agent] = entry
      if (op !== Op.store) return
      filled[agent * TLB_ENTRIES + entry] = scene.event
      know(agent * TLB_ENTRIES + entry)
    },
    digest: (into) => {
      // For each range that is or is being revoked: which of its pages' entries are older, and which came before a munmap's return.
      const { records } = calls
      for (let e = 0; e < ever.length; e++) {
        const entry = ever[e] as number
        const vpn = (words[readOf(entry)] as number) - 1
        if (vpn < 0) continue
        for (let i = 0; i < records.length; i++) {
          const { description, began, returned, result } = records[i] as CallRecord
          const fill = filled[entry] as number
          const older = fill < began
          if (!older && (began < 0 || description.name !== 'munmap' || (returned >= 0 && fill >= returned))) continue
          const range = revoked(description, result)
          if (range !== null && vpn >= range.from && vpn < range.to)
            addFact(into, (older ? 0x71b0 : 0x72b0) + i, vpn * cpus + Math.floor(entry / TLB_ENTRIES))
        }
      }
    },
  }
}

/** The hardware walker also runs in user mode: what it reads are tables. */
function inTables(objects: Objects, p: number): boolean {
  const object = objects.at(p)
  return object === 0 || objects.isTable(object)
}
