// What a CPU's Worker is started with, and what a job is: the messages between a machine's owner and its CPUs.
import type { MachineHandle } from '../machine/machine.ts'

/** What every CPU gets when it starts. */
export interface CpuStart {
  readonly machine: MachineHandle
  readonly cpu: number
}

/** A function that a CPU runs: `module` exports it under `name`; it gets its CPU's number and `data`. */
export interface CpuJob {
  readonly module: string
  readonly name: string
  readonly data: unknown
}

/** Messages to a CPU. */
export type ToCpu = { readonly kind: 'job'; readonly id: number; readonly job: CpuJob } | { readonly kind: 'stop' }

/** Messages from a CPU. */
export type FromCpu =
  | { readonly kind: 'ready' }
  | { readonly kind: 'done'; readonly id: number; readonly result: unknown }
  | { readonly kind: 'failed'; readonly id: number; readonly message: string; readonly stack: string }

/** A Worker as the pool uses it, in Node or in a browser. */
export interface CpuWorker {
  post(message: ToCpu): void
  onMessage(handler: (message: FromCpu) => void): void
  /** The thread died by itself. */
  onDeath(handler: (reason: string) => void): void
  terminate(): Promise<void>
}

/** Starts the thread of one CPU; injected in browsers. */
export type CpuWorkerFactory = (start: CpuStart) => CpuWorker
