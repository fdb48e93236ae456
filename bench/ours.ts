// Our side: one machine with Workers of its own for each combination of design, architecture and threads. They live
// through all rounds of one loop, so that what is measured is compiled code.

import { bootMachine } from '../src/machine/machine.ts'
import { archByName } from '../src/machine/shape.ts'
import { type Cpus, startCpus } from '../src/threads/cpus.ts'
import type { ThreadLoop } from './loop-names.ts'
import type { LoopJob, Measured } from './loops.ts'

const module = new URL('./loops.js', import.meta.url).href

/** A running machine with one process that is ready to measure. */
export interface Ours {
  /** Whether every thread has a core of its own. */
  readonly pinned: boolean
  /** Runs one loop on every CPU, or each CPU's own. */
  run(loops: ThreadLoop | readonly ThreadLoop[], milliseconds: number): Promise<Measured[]>
  close(): Promise<void>
}

/** Boots a machine of `threads` CPUs for `megabytes` per mapping, and starts a process on all of them. */
export async function openOurs(design: string, arch: string, threads: number, megabytes: number): Promise<Ours> {
  // Each thread's file, its private copies, and page tables.
  const slack = arch.includes('64k') ? 128 : 32
  const memory = (threads * megabytes * 2 + slack) * 2 ** 20
  const cpus: Cpus = await startCpus(bootMachine({ design, arch, cpus: threads, memory }), threads)
  const { mm, files } = (await cpus.run(0, { module, name: 'prepare', data: { threads, megabytes } })) as { mm: number; files: number[] }
  const pinned = await cpus.runAll({ module, name: 'join' }, () => mm)
  return {
    pinned: pinned.every((p) => p === true),
    run: async (loops, milliseconds) => {
      const gate = new Int32Array(new SharedArrayBuffer(128))
      const job = (cpu: number): LoopJob => {
        const name = typeof loops === 'string' ? loops : loops[cpu]!
        return { name, mm, file: files[cpu] ?? 0, megabytes, milliseconds, threads, gate }
      }
      return (await cpus.runAll({ module, name: 'measure' }, job)) as Measured[]
    },
    close: () => cpus.stop(),
  }
}

/** Bytes of one page of `arch`: only equal ones can be compared with Linux. */
export function pageBytes(arch: string): number {
  return 2 ** archByName(arch).pageShift
}
