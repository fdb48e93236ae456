// A thread's seat at a machine: the CPU that it is, and the address space which that CPU has loaded. The kernel's modules
// are bound to one machine at a time; whoever is about to call them says for which seat.
import { PAGE_SHIFT } from '../kernel/arch/arch.ts'
import { enterKernel, exitKernel, rcuBarrier, sysSwitchMm } from '../kernel/kernel.ts'
import { thisCpu } from '../kernel/machine/instructions.ts'
import { Cpu } from '../kernel/machine/percpu.ts'
import { attachCpu, type MachineHandle } from '../machine/machine.ts'
import { MachineError } from './errors.ts'

/** What `running` is meanwhile: no mm. */
const UNBOUND = -2

/** This thread as one CPU of one machine. */
export class Seat {
  readonly machine: MachineHandle
  readonly cpu: number
  readonly words: Int32Array
  readonly halves: Int16Array
  readonly view: DataView
  readonly pageShift: number
  /** The CPU's own area, as a word. */
  readonly area: number
  /** The mm that the CPU has loaded, 0 for none. */
  mm = 0
  /** The same while the kernel's modules are bound to this seat, else UNBOUND. */
  running = UNBOUND
  left = false

  /** Binds the thread at once. */
  constructor(machine: MachineHandle, cpu: number) {
    this.machine = machine
    this.cpu = cpu
    this.words = new Int32Array(machine.buffer)
    this.halves = new Int16Array(machine.buffer)
    this.view = new DataView(machine.buffer)
    bind(this)
    this.pageShift = PAGE_SHIFT
    this.area = thisCpu()
    this.mm = this.words[this.area + Cpu.currentMm] as number
    this.running = this.mm
  }
}

/** `count` bytes of the machine from byte `at` on. */
export function bytesAt(seat: Seat, at: number, count: number): Uint8Array {
  // Not a part of one view of everything: V8 makes none longer than 4 GiB.
  return new Uint8Array(seat.machine.buffer, at, count)
}

let bound: Seat | undefined

function bind(seat: Seat): void {
  if (seat.left) throw new MachineError('this thread has detached from the machine')
  stand()
  attachCpu(seat.machine, seat.cpu)
  bound = seat
  seat.running = seat.mm
}

/** No seat has the kernel's modules: somebody is about to bind them elsewhere. */
export function stand(): void {
  if (bound !== undefined) bound.running = UNBOUND
  bound = undefined
}

/** Binds the kernel's modules to the seat's machine, if they are not already. Throws `MachineError` after `leave`. */
export function sit(seat: Seat): void {
  if (bound !== seat) bind(seat)
}

/** Loads `mm` into the seat's CPU, if it is not there already. */
export function run(seat: Seat, mm: number): void {
  if (seat.running === mm) return
  sit(seat)
  if (seat.mm !== mm) sysSwitchMm(mm)
  seat.mm = mm
  seat.running = mm
}

/** Runs what the CPU has deferred, and waits for the grace period that it needs. Other CPUs need only be outside the kernel. */
export function drain(seat: Seat): void {
  sit(seat)
  enterKernel()
  rcuBarrier()
  exitKernel()
}

/** Gives the seat up: nothing deferred is left on its CPU, which another thread may become. */
export function leave(seat: Seat): void {
  run(seat, 0)
  drain(seat)
  seat.left = true
  stand()
}
