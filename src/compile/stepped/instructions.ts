// The instruction set of the stepped build: same names as the native file, but a step only announces itself, and the
// executor performs it when it schedules the CPU; its result comes back through `generator.next`. The compiler adds the
// place in the source (`site`) as the last argument. What is not a step happens at once.
import { words } from '../../kernel/machine/heap.ts'
import { CPU_STRIDE } from '../../kernel/machine/percpu.ts'
import {
  announce,
  areas,
  bindAreas,
  countLoad,
  countPlainChange,
  cpu,
  cpuArea,
  fed,
  nextFed,
  now,
  Oops,
  observer,
  selectCpu,
} from './announce.ts'
import { Op } from './ops.ts'

/** Selects CPU `number`. The executor has the interrupt handler; nothing here gives way. */
export function bindCpu(number: number, perCpuAreas: number, _handler: () => void, _moreCpusThanCores: boolean): void {
  bindAreas(perCpuAreas)
  selectCpu(number, 0)
}

/** The number of the executing CPU. */
export function smpProcessorId(): number {
  return cpu
}

/** The executing CPU's per-CPU area. */
export function thisCpu(): number {
  return cpuArea
}

/** The per-CPU area of CPU `number`. */
export function perCpu(number: number): number {
  return areas + number * CPU_STRIDE
}

/** `p`, which must be a word of memory: a broken kernel may take anything for an address. */
function inMemory(p: number): number {
  if (p >>> 0 < words.length) return p
  throw new Oops(`wild pointer: there is no word ${p}`)
}

/** Plain load: no step. */
export function load(p: number, site: number): number {
  if (fed !== null) return nextFed()
  countLoad()
  if (observer !== null) observer(Op.load, inMemory(p), 0, 0, site)
  return words[p] as number
}

/** Plain store: no step. */
export function store(p: number, value: number, site: number): void {
  if (fed !== null) return
  if (observer !== null) observer(Op.store, inMemory(p), value, 0, site)
  if (words[p] === (value | 0)) return
  words[p] = value
  countPlainChange()
}

/** READ_ONCE. */
export function readOnce(p: number, site: number): void {
  announce(Op.readOnce, inMemory(p), 0, 0, site)
}

/** WRITE_ONCE. */
export function writeOnce(p: number, value: number, site: number): void {
  announce(Op.writeOnce, inMemory(p), value, 0, site)
}

/** smp_load_acquire. */
export function smpLoadAcquire(p: number, site: number): void {
  announce(Op.smpLoadAcquire, inMemory(p), 0, 0, site)
}

/** smp_store_release. */
export function smpStoreRelease(p: number, value: number, site: number): void {
  announce(Op.smpStoreRelease, inMemory(p), value, 0, site)
}

/** rcu_dereference. */
export function rcuDereference(p: number, site: number): void {
  announce(Op.rcuDereference, inMemory(p), 0, 0, site)
}

/** rcu_assign_pointer. */
export function rcuAssignPointer(p: number, value: number, site: number): void {
  announce(Op.rcuAssignPointer, inMemory(p), value, 0, site)
}

/** cmpxchg. */
export function cmpxchg(p: number, expected: number, value: number, site: number): void {
  announce(Op.cmpxchg, inMemory(p), expected, value, site)
}

/** xchg. */
export function xchg(p: number, value: number, site: number): void {
  announce(Op.xchg, inMemory(p), value, 0, site)
}

/** atomic_add_return. */
export function atomicAdd(p: number, delta: number, site: number): void {
  announce(Op.atomicAdd, inMemory(p), delta, 0, site)
}

/** atomic_fetch_or. */
export function atomicOr(p: number, bits: number, site: number): void {
  announce(Op.atomicOr, inMemory(p), bits, 0, site)
}

/** atomic_fetch_and. */
export function atomicAnd(p: number, bits: number, site: number): void {
  announce(Op.atomicAnd, inMemory(p), bits, 0, site)
}

/** Reads both halves of an entry. */
export function readEntryWhole(p: number, site: number): void {
  announce(Op.readEntryWhole, inMemory(p), 0, 0, site)
}

/** Sets bits in an entry that is as expected. */
export function orEntryWhole(p: number, expected: number, bits: number, site: number): void {
  announce(Op.orEntryWhole, inMemory(p), expected, bits, site)
}

/** smp_mb: no step under sequential consistency. */
export function smpMb(site: number): void {
  if (observer !== null) observer(Op.smpMb, 0, 0, 0, site)
}

/** smp_wmb. */
export function smpWmb(site: number): void {
  if (observer !== null) observer(Op.smpWmb, 0, 0, 0, site)
}

/** smp_rmb. */
export function smpRmb(site: number): void {
  if (observer !== null) observer(Op.smpRmb, 0, 0, 0, site)
}

/** Zeroes `count` words from `p`: no step, the frame belongs to the caller. */
export function zeroPage(p: number, count: number, site: number): void {
  if (fed !== null) return
  if (observer !== null) observer(Op.zeroPage, p, count, 0, site)
  words.fill(0, p, p + count)
}

/** Copies `count` words: no step. */
export function copyPage(target: number, source: number, count: number, site: number): void {
  if (fed !== null) return
  if (observer !== null) observer(Op.copyPage, target, source, count, site)
  words.copyWithin(target, source, source + count)
}

/** A bulk copy is no step, and what others write to must be read by steps. */
export function copiesWordByWord(): boolean {
  return true
}

/** cpu_relax: the executor lets this CPU continue once another one has changed something. */
export function relax(site: number): void {
  announce(Op.relax, 0, 0, 0, site)
}

/** Nothing: stepped IPIs arrive by themselves. */
export function pollInterrupts(): void {}

/** FUTEX_WAIT. */
export function futexWait(p: number, expected: number, site: number): void {
  announce(Op.futexWait, inMemory(p), expected, 0, site)
}

/** FUTEX_WAKE. */
export function futexWake(p: number, count: number, site: number): void {
  announce(Op.futexWake, inMemory(p), count, 0, site)
}

/** local_irq_save. */
export function irqSave(site: number): void {
  announce(Op.irqSave, 0, 0, 0, site)
}

/** local_irq_restore. */
export function irqRestore(site: number): void {
  announce(Op.irqRestore, 0, 0, 0, site)
}

/** Sends an IPI to CPU `target`. */
export function sendIpi(target: number, site: number): void {
  announce(Op.sendIpi, target, 0, 0, site)
}

/** Waits for a device: one step; the simulator takes `microseconds` of virtual time. */
export function blockOnIo(microseconds: number, site: number): void {
  announce(Op.blockOnIo, microseconds, 0, 0, site)
}

/** The executor's clock in microseconds. */
export function clock(): number {
  return now
}
