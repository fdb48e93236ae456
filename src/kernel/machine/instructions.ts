// The instruction set: the only way in which kernel code touches shared memory. This file is the native form, one
// atomic operation each; the stepped build puts its own file of the same names here, in which each instruction stops.
// Names and meanings are Linux's (LKMM). JavaScript's atomics are sequentially consistent, so every ordering that an
// instruction names is over-fulfilled natively; the name says what the algorithm needs.
import { RCU_PREEMPTIBLE } from './axes.ts'
import { boundHeap } from './heap.ts'
import { CPU_STRIDE, Cpu } from './percpu.ts'

interface BoundCpu {
  cpu: number
  area: number
  areas: number
  crowded: boolean
  interrupt: () => void
}

// Both are filled when a thread becomes a CPU, once: V8 then takes what they hold for constants.
const heap = boundHeap()
const me = {} as BoundCpu
let spins = 0

/** Looks at a futex word before a CPU that has a core of its own goes to sleep: about ten microseconds. */
const FUTEX_SPINS = 4000

/**
 * Makes this thread CPU `number`. `perCpuAreas` is the word where CPU 0's area begins; `handler` answers an IPI;
 * `moreCpusThanCores` makes spinning give way sooner.
 */
export function bindCpu(number: number, perCpuAreas: number, handler: () => void, moreCpusThanCores: boolean): void {
  me.cpu = number
  me.area = perCpuAreas + number * CPU_STRIDE
  me.areas = perCpuAreas
  me.crowded = moreCpusThanCores
  me.interrupt = handler
}

/** The number of the executing CPU. */
export function smpProcessorId(): number {
  return me.cpu
}

/** The executing CPU's per-CPU area. */
export function thisCpu(): number {
  return me.area
}

/** The per-CPU area of CPU `number`. */
export function perCpu(number: number): number {
  return me.areas + number * CPU_STRIDE
}

// --- plain accesses: words owned by a lock, by one CPU, or not yet published ---

/** Plain load of a word that a lock or ownership protects. */
export function load(p: number): number {
  return heap.words[p] as number
}

/** Plain store to a word that a lock or ownership protects. */
export function store(p: number, value: number): void {
  heap.words[p] = value
}

// --- marked accesses: each is a step ---

/** READ_ONCE: a relaxed load of a shared word. */
export function readOnce(p: number): number {
  return heap.ops.load(p)
}

/** WRITE_ONCE: a relaxed store to a shared word. */
export function writeOnce(p: number, value: number): void {
  heap.ops.store(p, value)
}

/** smp_load_acquire. */
export function smpLoadAcquire(p: number): number {
  return heap.ops.load(p)
}

/** smp_store_release. */
export function smpStoreRelease(p: number, value: number): void {
  heap.ops.store(p, value)
}

/** rcu_dereference: loads a pointer whose target the caller's RCU section (or lock) keeps. */
export function rcuDereference(p: number): number {
  return heap.ops.load(p)
}

/** rcu_assign_pointer: publishes an initialised structure. */
export function rcuAssignPointer(p: number, value: number): void {
  heap.ops.store(p, value)
}

/** cmpxchg, fully ordered when it succeeds. Returns the value found. */
export function cmpxchg(p: number, expected: number, value: number): number {
  return heap.ops.cmpxchg(p, expected, value)
}

/** xchg, fully ordered. Returns the value found. */
export function xchg(p: number, value: number): number {
  return heap.ops.xchg(p, value)
}

/** atomic_add_return, fully ordered. Returns the new value. */
export function atomicAdd(p: number, delta: number): number {
  return (heap.ops.add(p, delta) + delta) | 0
}

/** atomic_fetch_or, fully ordered. Returns the value found. */
export function atomicOr(p: number, bits: number): number {
  return heap.ops.or(p, bits)
}

/** atomic_fetch_and, fully ordered. Returns the value found. */
export function atomicAnd(p: number, bits: number): number {
  return heap.ops.and(p, bits)
}

// --- what the hardware does to a page-table entry of two halves (an even word and the one behind it, without bits in common) ---

/** Reads both halves in one go. Returns their bits together. */
export function readEntryWhole(p: number): number {
  return heap.ops.readWhole(p)
}

/** Sets `bits` in the low half if the halves' bits are together still `expected`, in one go. Returns 1 if it did, else 0. */
export function orEntryWhole(p: number, expected: number, bits: number): number {
  return heap.ops.orWhole(p, expected, bits)
}

// --- fences: they order the instructions around them; natively every marked access is already ordered ---

/** smp_mb. */
export function smpMb(): void {}
/** smp_wmb. */
export function smpWmb(): void {}
/** smp_rmb. */
export function smpRmb(): void {}

// --- bulk ---

/** Zeroes `count` words (a multiple of 16) from `p` (even). The frame belongs to the caller. */
export function zeroPage(p: number, count: number): void {
  heap.ops.zero(p, count)
}

/** Copies `count` words (even numbers) from `source` to `target`, a frame of the caller's. */
export function copyPage(target: number, source: number, count: number): void {
  heap.ops.copy(target, source, count)
}

/** Whether a copy of a frame that others write to must be shown word by word: not where it runs, only where it is checked. */
export function copiesWordByWord(): boolean {
  return false
}

// --- waiting ---

/** cpu_relax inside a spin loop: answers IPIs while interrupts are on and lets others run. */
export function relax(): void {
  pollInterrupts()
  spins = (spins + 1) | 0
  if (me.crowded ? (spins & 31) === 0 : (spins & 0x3fff) === 0) Atomics.wait(heap.words, me.areas - 1, 0, 0.05)
}

/** Answers a pending IPI now if interrupts are on. Natively called at poll points; stepped IPIs arrive by themselves. */
export function pollInterrupts(): void {
  if (heap.words[me.area + Cpu.irqOff] !== 0 || heap.ops.load(me.area + Cpu.ipiRequests) === heap.words[me.area + Cpu.ipiAcks]) return
  // The hardware enters a handler with interrupts off.
  heap.words[me.area + Cpu.irqOff] = 1
  me.interrupt()
  heap.words[me.area + Cpu.irqOff] = 0
}

/** FUTEX_WAIT: sleeps while `p` holds `expected`, until a wake-up. The caller rechecks: it may return early. */
export function futexWait(p: number, expected: number): void {
  // What is waited for is often a microsecond away, and a sleep and a wake-up cost fifty of them.
  if (!me.crowded) for (let i = 0; i < FUTEX_SPINS; i++) if (heap.ops.load(p) !== expected) return
  Atomics.wait(heap.words, p, expected)
}

/** FUTEX_WAKE: wakes up to `count` sleepers on `p`. */
export function futexWake(p: number, count: number): void {
  Atomics.notify(heap.words, p, count)
}

/** local_irq_save: IPIs are not answered until `irqRestore`. */
export function irqSave(): void {
  if (RCU_PREEMPTIBLE) publishIrqOff(1)
  else heap.words[me.area + Cpu.irqOff] = (heap.words[me.area + Cpu.irqOff] as number) + 1
}

/** Counts interrupts off where others look: a grace period waits for such a region, and must not miss that it has begun. */
function publishIrqOff(delta: number): void {
  heap.ops.store(me.area + Cpu.irqOff, (heap.words[me.area + Cpu.irqOff] as number) + delta)
}

/** local_irq_restore: undoes one `irqSave`; a pending IPI is answered once all are undone. */
export function irqRestore(): void {
  if (RCU_PREEMPTIBLE) publishIrqOff(-1)
  else heap.words[me.area + Cpu.irqOff] = (heap.words[me.area + Cpu.irqOff] as number) - 1
  pollInterrupts()
}

/** Sends an IPI to CPU `target`. Returns the request's number, answered once its `ipiAcks` has reached it. */
export function sendIpi(target: number): number {
  return (heap.ops.add(me.areas + target * CPU_STRIDE + Cpu.ipiRequests, 1) + 1) | 0
}

/** Waits for a device for `microseconds` of real (stepped: one step; simulated: virtual) time. */
export function blockOnIo(microseconds: number): void {
  if (microseconds > 0) Atomics.wait(heap.words, me.areas - 1, 0, microseconds / 1000)
}

/** A clock in microseconds, wrapping at 2^31; only for statistics. */
export function clock(): number {
  return Math.trunc(performance.now() * 1000) & 0x7fffffff
}
