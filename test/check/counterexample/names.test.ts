// Names of words and values: what a kernel developer would call them, on the real structures of two architectures.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  createNames,
  minimise,
  type Names,
  type Recording,
  readLayouts,
  record,
  relevantEvents,
} from '../../../src/check/counterexample/index.ts'
import { explore } from '../../../src/check/explore/index.ts'
import { openTree } from '../../../src/check/index.ts'
import { Op } from '../../../src/compile/stepped/ops.ts'
import { Kind } from '../../../src/kernel/machine/annotations.ts'
import { Global, SlabCache } from '../../../src/kernel/machine/globals.ts'
import { CPU_STRIDE, Cpu } from '../../../src/kernel/machine/percpu.ts'
import { Mm } from '../../../src/kernel/memory/mm.ts'
import { Page, PageFlag } from '../../../src/kernel/memory/page.ts'
import { POISON } from '../../../src/kernel/memory/page-alloc.ts'
import { RcuFunc } from '../../../src/kernel/sync/rcu-func.ts'
import { MapleNode, mteToNode } from '../../../src/kernel/vma/maple-tree.ts'
import { Vma } from '../../../src/kernel/vma/vma.ts'
import { immediateTree, type Race, removeVariants, walkerBesideMunmap } from './races.ts'

afterAll(removeVariants)

describe.each(['x86_64', 'powerpc64-hash-64k'])('on %s', (arch) => {
  let race: Race
  let recording: Recording
  let names: Names
  const word = (p: number): number => recording.memory[p] as number
  let mm: number
  let table: number
  beforeAll(async () => {
    race = await walkerBesideMunmap(await openTree(), arch)
    recording = record(race.model, race.recorder, explore(race.model, { executions: 1 }).path)
    if (recording.events.length === 0) recording = record(race.model, race.recorder, [0, 6])
    names = createNames(recording, await readLayouts(race.tree))
    mm = word(recording.machine.areas + Cpu.currentMm)
    table = word(mm + Mm.pgd)
  })

  it('names globals and what belongs to a CPU', () => {
    const areas = recording.machine.areas
    expect(names.address(Global.rcuGpSeq, 0)).toBe('rcuGpSeq')
    expect(names.address(Global.slabs + SlabCache.size + SlabCache.free, 0)).toBe('slabs[vma].free')
    expect(names.address(areas + CPU_STRIDE + Cpu.ipiRequests, 0)).toBe('cpu 1.ipiRequests')
    expect(names.address(areas + Cpu.slabHead + 2, 0)).toBe('cpu 0.slabHead[maple node]')
    expect(names.address(areas + Cpu.tlb + 4 * 7 + 3, 0)).toBe('cpu 0.tlb[7].frame')
    expect(names.value(areas + Cpu.context, 42, 0)).toBe('kernel #10')
  })

  it('names the fields of objects in slabs, and pointers by what they point to', () => {
    expect(names.address(mm + Mm.mmapLock, 0)).toBe('mm 1.mmapLock.count')
    expect(names.value(mm + Mm.mmapLock, (1 << 30) | (1 << 29), 0)).toBe('writer+waiters')
    const node = mteToNode(word(mm + Mm.tree))
    expect(names.value(mm + Mm.tree, word(mm + Mm.tree), 0)).toBe('maple node 1 (leaf)')
    expect(names.address(node + MapleNode.pivot + 3, 0)).toBe('maple node 1.pivot[3]')
    const slot = Array.from({ length: 16 }, (_, i) => node + MapleNode.slot + i).find((p) => word(p) !== 0) as number
    const vma = word(slot)
    expect(names.value(slot, vma, 0)).toBe('vma 1')
    expect(names.address(vma + Vma.refcnt, 0)).toBe('vma 1.refcnt')
    expect(names.value(vma + Vma.refcnt, (1 << 30) + 1, 0)).toBe('writer+1')
    expect(names.value(vma + Vma.mm, mm, 0)).toBe('mm 1')
    expect(names.value(vma + Vma.start, 0x67ff7, 0)).toBe('0x67ff7')
    expect(names.address(vma + Vma.rcuHead + 1, 0)).toBe('vma 1.rcuHead.func')
    expect(names.value(vma + Vma.rcuHead + 1, RcuFunc.vmaAndFile, 0)).toBe('vmaAndFile')
    expect(names.value(vma + Vma.rcuHead + 1, 1000, 0)).toBe('1000')
    expect(names.address(vma - 1, 0)).toBe('vma 1.generation')
    expect(names.value(vma + Vma.flags, POISON, 0)).toBe('poison')
  })

  it('names tables by their level, slots by their index, entries by what they say', () => {
    expect(names.object(table, 0)).toBe('pgd table 1')
    let slots = table
    for (const level of ['pud', 'pmd', 'pte']) {
      let i = 0
      while (word(slots + 2 * i) === 0) i++
      const entry = slots + 2 * i
      expect(names.value(entry, word(entry), 0)).toBe(`${level} table 1`)
      expect(names.address(entry, 0)).toMatch(new RegExp(`table 1\\[${i}\\]$`))
      slots = word(entry) & ~7
    }
    expect(names.address(slots + 10, 0)).toBe('pte table 1[5]')
    expect(names.address(slots + 11, 0)).toBe('pte table 1[5].high')
    expect(names.value(slots + 10, (12 << 10) | 1 | 2 | 16, 0)).toBe('pfn 12 +w+d')
    expect(names.value(slots + 10, 0, 0)).toBe('none')
    expect(names.value(slots + 10, (12 << 10) | 64, 0)).toBe('pfn 12 protnone')
    if (arch !== 'x86_64') expect(names.address(slots + 512 + 4, 0)).toBe('pte table 1[hash 2]')
    // The struct page of tables shows the fields that tables use.
    const page = word(Global.pages) + names.frame(slots) * Page.size
    expect(names.address(page + Page.ptl, 0)).toBe(`page ${names.frame(slots)}.ptl`)
    expect(names.address(page + Page.mapping, 0)).toBe(`page ${names.frame(slots)}.ptMm`)
    expect(names.address(page + Page.next, 0)).toBe(`page ${names.frame(slots)}.rcuHead.next`)
    expect(names.value(page + Page.flags, PageFlag.table | PageFlag.active, 0)).toBe('table|active')
    expect(names.address(word(Global.pages) + Page.private, 0)).toMatch(/^page 0\.(ptl|private)$/)
    expect(names.address(word(Global.pages) + Page.next, 0)).toBe('page 0.next')
  })

  it('puts names into messages', () => {
    expect(names.text(`use of freed table 0x${table.toString(16)} by agent 3`, 0)).toBe('use of freed pgd table 1 by CPU 1 (interrupt)')
    expect(names.text(`a plain load of word ${mm + Mm.users} by agent 0`, 0)).toBe('a plain load of mm 1.users by CPU 0')
    expect(names.text('flags 0x3', 0)).toBe('flags 0x3')
    const node = mteToNode(word(mm + Mm.tree))
    expect(names.text(`reads word 1 of maple node 0x${node.toString(16)}, which`, 0)).toBe('reads maple node 1.end, which')
    expect(names.text(`0x${(node + 1).toString(16)} (word 1 of maple node 0x${node.toString(16)})`, 0)).toBe('maple node 1.end')
    expect(names.text(`freed maple node 0x${node.toString(16)}`, 0)).toBe('freed maple node 1')
  })

  it('finds objects of slabs that have no free object left', async () => {
    const full = recording.memory.slice()
    const after = recording.memoryAfter.slice()
    for (const words of [full, after]) {
      for (let cache = 0; cache < 11; cache++) {
        words[Global.slabs + SlabCache.size * cache + SlabCache.free] = 0
        for (let cpu = 0; cpu < 2; cpu++) words[recording.machine.areas + cpu * CPU_STRIDE + Cpu.slabHead + cache] = 0
      }
    }
    const from = createNames({ ...recording, memory: full, memoryAfter: after }, await readLayouts(race.tree))
    expect(from.address(mm + Mm.mmapLock, 0)).toBe('mm 1.mmapLock.count')
    const node = mteToNode(word(mm + Mm.tree))
    expect(from.address(node + MapleNode.end, 0)).toBe('maple node 1.end')
    const slot = Array.from({ length: 16 }, (_, i) => node + MapleNode.slot + i).find((p) => word(p) !== 0) as number
    expect(from.address(word(slot) + Vma.refcnt, 0)).toBe('vma 1.refcnt')
    expect(from.object(word(word(slot) + Vma.anonVma) & ~1, 0)).toBe('anon_vma 1')
  })

  it('finds an address space that no CPU uses, in a slab without free objects', async () => {
    const lonely = (of: Int32Array): Int32Array => {
      const words = of.slice()
      words[Global.slabs + SlabCache.free] = 0
      for (let cpu = 0; cpu < 2; cpu++) {
        words[recording.machine.areas + cpu * CPU_STRIDE + Cpu.slabHead] = 0
        words[recording.machine.areas + cpu * CPU_STRIDE + Cpu.currentMm] = 0
      }
      return words
    }
    const { memory, memoryAfter } = recording
    const from = createNames({ ...recording, memory: lonely(memory), memoryAfter: lonely(memoryAfter) }, await readLayouts(race.tree))
    expect(from.address(mm + Mm.mmapLock, 0)).toBe('mm 1.mmapLock.count')
  })
})

it('gives an object that is allocated again at the same place another name', async () => {
  const race = await walkerBesideMunmap(await immediateTree())
  const { path } = minimise(race.model, explore(race.model, { mode: 'check' }).path, { watch: race.watch })
  const recording = record(race.model, race.recorder, path)
  const layouts = await readLayouts(race.tree)
  const frame = recording.events.find(({ op }) => op === Op.allocated)
  const allocated = recording.events.find(({ op, c }) => op === Op.allocated && c === Kind.slab)
  expect(allocated).toBeDefined()
  // The frame that a slab is cut from is a frame as it is allocated.
  expect(createNames(recording, layouts).object(frame?.a as number, frame?.index as number)).toMatch(/^frame \d+$/)
  const { a, index, site } = allocated as NonNullable<typeof allocated>
  const names = createNames(recording, layouts)
  expect(names.object(a, index)).not.toBe(names.object(a, index - 1))
  expect(names.named().map(({ origin }) => origin?.site ?? 0)).toEqual([site, 0])
  // Equal questions in equal order, equal answers.
  const texts = (from: Names): string[] => recording.events.filter(({ op }) => op !== 0).map((event) => from.address(event.a, event.index))
  expect(texts(createNames(recording, layouts))).toEqual(texts(createNames(recording, layouts)))
  const { shown, moment } = relevantEvents(recording, names)
  expect(shown).toContain(moment)
  expect(recording.events[moment]).toMatchObject({ agent: 0, rcu: 1 })
  // What is shown is a part, and contains the free.
  expect(shown.length).toBeLessThan(recording.events.filter(({ kind }) => kind !== 'plain').length / 2)
  expect(shown.some((i) => recording.events[i]?.op === Op.freed)).toBe(true)
})
