// Memory policies and device memory against the sequential model. mbind among the other calls splits and merges mappings as the model says,
// children and moved mappings keep their policy, and a fault takes a frame of the preferred node if its CPU's list has one. A device's
// pages are mapped by whom the model says, until the driver takes them back from all at once.
import { describe, expect, test } from 'vitest'
import { geometryOf } from '../../src/kernel/arch/arch.ts'
import { Global } from '../../src/kernel/machine/globals.ts'
import { load, perCpu, thisCpu } from '../../src/kernel/machine/instructions.ts'
import { listFirst } from '../../src/kernel/machine/list.ts'
import { Cpu } from '../../src/kernel/machine/percpu.ts'
import { Inode } from '../../src/kernel/memory/inode.ts'
import { Mempolicy, Mpol } from '../../src/kernel/memory/mempolicy.ts'
import { Page, PageFlag, pageToNid, pfnToPage, virtToPage } from '../../src/kernel/memory/page.ts'
import { allocPage, drainPcp, freePage } from '../../src/kernel/memory/page-alloc.ts'
import { Cache, kmemCacheAlloc, slabObjectsInUse } from '../../src/kernel/memory/slab.ts'
import { Access } from '../../src/kernel/pagetable/tlb.ts'
import { Advice } from '../../src/kernel/syscall/madvise.ts'
import { Placement } from '../../src/kernel/syscall/mmap.ts'
import { Remap } from '../../src/kernel/syscall/mremap.ts'
import { findVma } from '../../src/kernel/vma/find-vma.ts'
import { Vm, Vma } from '../../src/kernel/vma/vma.ts'
import { attachCpu, bootMachine, type MachineHandle } from '../../src/machine/machine.ts'
import { archByName } from '../../src/machine/shape.ts'
import { createOracle, type ProcessId } from '../../src/oracle/oracle.ts'
import type { MappedObject, OpenFile } from '../../src/oracle/vma.ts'
import { combinations } from '../combinations.ts'
import { type Executor, type ExecutorFactory, nativeExecutor, steppedExecutor } from './executor.ts'

const RW = Vm.read | Vm.write | Vm.mayRead | Vm.mayWrite | Vm.mayExec | Vm.account
const RW_SHARED = Vm.read | Vm.write | Vm.mayRead | Vm.mayWrite | Vm.mayExec | Vm.shared | Vm.mayShare
const FIRST = 64
const PAGES = 12
const stepped = await steppedExecutor()

/** Frames of both nodes by turns on the CPU's list, so that there is something to choose. */
function mixFrames(): void {
  const frames: number[] = []
  for (let page = allocPage(0); page !== 0; page = allocPage(0)) frames.push(page)
  const kept = [0, 1].map((nid) => frames.filter((page) => pageToNid(page) === nid).slice(0, 30))
  for (const page of frames) if (!kept.flat().includes(page)) freePage(page)
  drainPcp(thisCpu(), 1000)
  for (let i = 0; i < 30; i++) for (const nid of [0, 1]) freePage((kept[nid] as number[])[i] as number)
}

/** Nodes of the frames on the CPU's list, first first. */
function listed(): number[] {
  const nodes: number[] = []
  for (let page = load(perCpu(0) + Cpu.pcpHead); page !== 0; page = load(page + Page.next)) nodes.push(pageToNid(page))
  return nodes
}

function boot(design: string, arch: string): MachineHandle {
  const machine = bootMachine({ design, arch, cpus: 1, geometry: 'small', poison: true })
  attachCpu(machine, 0)
  mixFrames()
  return machine
}

/** A device in the machine, and in the model. */
interface Device {
  readonly inode: number
  readonly file: number
  readonly object: MappedObject
  readonly opened: OpenFile
}

/** A machine and the model, which do the same. Everything is in pages. */
class Pair {
  readonly #executor: Executor
  readonly #bytes: number
  readonly #oracle: ReturnType<typeof createOracle>
  readonly #devices: Device[] = []
  readonly #processes: { mm: number; id: ProcessId }[]
  /** Frames that faults chose where there was a choice. */
  chosen = 0

  constructor(machine: MachineHandle, factory: ExecutorFactory) {
    const { pageShift } = geometryOf(archByName(machineArch(machine)), 1)
    this.#bytes = 2 ** pageShift
    this.#executor = factory(machine)
    const at = (global: number): number => load(global) * this.#bytes
    this.#oracle = createOracle({
      pageShift,
      base: at(Global.mmapMinPage),
      limit: at(Global.mmapBase),
      taskSize: at(Global.taskSize),
    })
    this.#newDevice()
    this.#processes = [{ mm: this.#executor.call('sysNewMm'), id: this.#oracle.first }]
  }

  /** A device of four pages, in front of those that there are. */
  #newDevice(): void {
    const inode = this.#executor.call('deviceCreate', 2, 0)
    const object = this.#oracle.createObject('device', 4 * this.#bytes, undefined, true)
    this.#devices.unshift({ inode, file: this.#executor.call('fileOpen', inode), object, opened: this.#oracle.open(object) })
  }

  /** Reads every page of the newest device wherever it is mapped. */
  #readDevice(): void {
    for (const { mm, id } of this.#processes) {
      this.#executor.call('sysSwitchMm', mm)
      for (const { start, end, object } of this.#oracle.maps(id)) {
        if (object !== this.#devices[0]?.object) continue
        for (let page = start / this.#bytes; page < end / this.#bytes; page++) this.#read(id, page)
      }
    }
    this.#executor.call('sysSwitchMm', 0)
  }

  #read(id: ProcessId, page: number): void {
    const got = this.#executor.access(page, Access.read)
    const expected = this.#oracle.read(id, page * this.#bytes)
    expect('value' in got ? got.value : 'fault').toBe('stamp' in expected ? expected.stamp : 'fault')
  }

  step(random: (below: number) => number): void {
    const which = random(this.#processes.length)
    const { mm, id } = this.#processes[which] as { mm: number; id: ProcessId }
    const start = FIRST + random(PAGES)
    const pages = 1 + random(FIRST + PAGES - start)
    const [address, length] = [start * this.#bytes, pages * this.#bytes]
    const oracle = this.#oracle
    const device = this.#devices[0] as Device
    const both = (said: number, expected: number): void => expect(said).toBe(expected)
    const kind = random(26)
    if (kind < 4) {
      const got = oracle.mmap(id, { address, length, prot: 3, flags: 0x32 })
      both(this.#executor.call('sysMmap', mm, start, pages, RW, Placement.fixed, 0, 0), got / this.#bytes)
    } else if (kind === 4) both(this.#executor.call('sysMunmap', mm, start, pages), oracle.munmap(id, address, length))
    else if (kind === 5) {
      const prot = 1 + 2 * random(2)
      both(this.#executor.call('sysMprotect', mm, start, pages, prot), oracle.mprotect(id, address, length, prot))
    } else if (kind < 12) {
      const node = [undefined, 0, 1][random(3)]
      const mode = node === undefined ? Mpol.default : Mpol.preferred
      both(this.#executor.call('sysMbind', mm, start, pages, mode, node ?? 0), oracle.mbind(id, address, length, node))
    } else if (kind === 12) {
      // Whole tables, too.
      const count = 1 + random(8)
      const target = FIRST + PAGES + 8 + random(8)
      const got = oracle.mremap(id, address, count * this.#bytes, count * this.#bytes, 3, target * this.#bytes)
      const said = this.#executor.call('sysMremap', mm, start, count, count, Remap.mayMove | Remap.fixed, target)
      both(said, got < 0 ? got : got / this.#bytes)
    } else if (kind === 13) {
      const got = oracle.mremap(id, address, this.#bytes, 2 * this.#bytes, 0)
      both(this.#executor.call('sysMremap', mm, start, 1, 2, 0, 0), got < 0 ? got : got / this.#bytes)
    } else if (kind === 14 && this.#processes.length < 3)
      this.#processes.push({ mm: this.#executor.call('sysFork', mm), id: oracle.fork(id) })
    else if (kind < 17) {
      // Beyond the device's end, too; one of four mappings is private, which is refused.
      const [pgoff, shared] = [random(4), random(4) !== 0]
      const got = oracle.mmap(id, {
        address,
        length,
        prot: 3,
        flags: shared ? 0x11 : 0x12,
        file: device.opened,
        offset: pgoff * this.#bytes,
      })
      const flags = shared ? RW_SHARED : RW
      both(this.#executor.call('sysMmap', mm, start, pages, flags, Placement.fixed, device.file, pgoff), got < 0 ? got : got / this.#bytes)
    } else if (kind === 17) {
      const advice = [Advice.dontneed, Advice.populateRead, Advice.populateWrite][random(3)] as number
      both(this.#executor.call('sysMadvise', mm, start, pages, advice), oracle.madvise(id, address, length, advice))
    } else if (kind === 18) {
      this.#readDevice()
      both(this.#executor.call('sysDeviceRevoke', device.inode), 0)
      device.object.size = 0
      this.#readDevice()
      this.#newDevice()
    } else this.#touch(mm, id, random(2) === 0 ? start : start + PAGES + 8, random(1000) + 1)
    for (const process of this.#processes) expect(this.#maps(process.mm)).toEqual(this.#expected(process.id))
  }

  /** Reads, then writes: where the write finds another frame than the read it has taken one. */
  #touch(mm: number, id: ProcessId, page: number, stamp: number): void {
    this.#executor.call('sysSwitchMm', mm)
    this.#read(id, page)
    const old = this.#frame(page, Access.read)
    const nodes = listed()
    const written = this.#executor.access(page, Access.write, stamp)
    expect('value' in written).toBe('stamp' in this.#oracle.write(id, page * this.#bytes, stamp))
    if ('value' in written) {
      const now = this.#frame(page, Access.read)
      const { node } = this.#oracle.maps(id).find(({ start, end }) => start <= page * this.#bytes && page * this.#bytes < end) ?? {}
      // The first two may have gone into a slab that grew.
      if (now !== old && node !== undefined && nodes.slice(2).includes(node)) {
        expect(pageToNid(virtToPage(now))).toBe(node)
        if (node !== nodes[0]) this.chosen++
      }
    }
    this.#executor.call('sysSwitchMm', 0)
  }

  #frame(page: number, access: number): number {
    const frame = this.#executor.call('beginAccess', page, access)
    if (frame >= 0) this.#executor.call('endAccess')
    return frame
  }

  #maps(mm: number): unknown[] {
    const lines: unknown[] = []
    for (let vma = findVma(mm, 0); vma !== 0; vma = findVma(mm, load(vma + Vma.end))) {
      const policy = load(vma + Vma.policy)
      const node = policy === 0 ? undefined : load(policy + Mempolicy.node)
      lines.push([load(vma + Vma.start), load(vma + Vma.end), (load(vma + Vma.flags) & Vm.write) !== 0, node])
    }
    return lines
  }

  #expected(id: ProcessId): unknown[] {
    return this.#oracle.maps(id).map(({ start, end, write, node }) => [start / this.#bytes, end / this.#bytes, write, node])
  }

  end(): void {
    this.#executor.call('sysSwitchMm', 0)
    for (const { mm } of this.#processes) this.#executor.call('sysExit', mm)
    for (const { inode, file } of this.#devices) {
      expect(listFirst(inode + Inode.iMmap)).toBe(0)
      this.#executor.call('putFile', file)
      this.#executor.call('iput', inode)
    }
    this.#executor.call('enterKernel')
    this.#executor.call('rcuBarrier')
    this.#executor.call('exitKernel')
    const reserved = Array.from({ length: load(Global.nrFrames) }, (_, pfn) => load(pfnToPage(pfn) + Page.flags) & PageFlag.reserved)
    expect(reserved.filter((flag) => flag !== 0)).toHaveLength(1)
    expect([Cache.mempolicy, Cache.file, Cache.inode, Cache.vma].map(slabObjectsInUse)).toEqual([0, 0, 0, 0])
  }
}

const archNames = new WeakMap<MachineHandle, string>()
const machineArch = (machine: MachineHandle): string => archNames.get(machine) as string

async function play(design: string, arch: string, seed: number, steps: number, factory: ExecutorFactory): Promise<number> {
  const machine = boot(design, arch)
  archNames.set(machine, arch)
  if (factory === stepped.factory) await stepped.bind(machine)
  const pair = new Pair(machine, factory)
  let state = seed
  const random = (below: number): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
  for (let i = 0; i < steps; i++) pair.step(random)
  pair.end()
  return pair.chosen
}

describe.each(combinations)('policies and devices, %s on %s', (design, arch, parts) => {
  test('answer as the model, and choose', async () => {
    let chosen = 0
    for (let seed = 1; seed <= (parts === 1 ? 8 : 2); seed++) chosen += await play(design, arch, seed, 150, nativeExecutor)
    // A few lists may have no fault that has a choice.
    if (parts === 1) expect(chosen).toBeGreaterThan(0)
  })
})

test.each(['vma-lock', 'speculative', 'rcu-fault', 'srcu'])('answer stepped as on a thread (%s)', async (design) => {
  await play(design, 'x86_64', 5, 60, stepped.factory)
})

test('mbind refuses what there is not, and says when memory is short', () => {
  boot('vma-lock', 'x86_64')
  const { call } = nativeExecutor({} as MachineHandle)
  const mm = call('sysNewMm')
  call('sysMmap', mm, FIRST, 2, RW, Placement.fixed, 0, 0)
  expect(call('sysMbind', mm, FIRST, 1, Mpol.preferred, 2)).toBe(-22)
  expect(call('sysMbind', mm, FIRST, 1, 7, 0)).toBe(-22)
  expect(call('sysMbind', mm, FIRST, 3, Mpol.preferred, 1)).toBe(-14)
  expect(call('sysMbind', mm, FIRST, 0, Mpol.preferred, 1)).toBe(0)
  for (let page = allocPage(0); page !== 0; page = allocPage(0));
  for (let taken = kmemCacheAlloc(Cache.mempolicy); taken !== 0; taken = kmemCacheAlloc(Cache.mempolicy));
  expect(call('sysMbind', mm, FIRST, 2, Mpol.preferred, 1)).toBe(-12)
  expect(load(findVma(mm, FIRST) + Vma.policy)).toBe(0)
})
