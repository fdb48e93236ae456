// The CPUs of a machine as threads: started together, pinned to their number for the life of the machine, given jobs. A
// CPU that dies fails every job that is under way with its own error, for the others may wait for it for ever.
import type { MachineHandle } from '../machine/machine.ts'
import type { CpuJob, CpuWorker, CpuWorkerFactory, FromCpu } from './cpu-job.ts'
import { nodeCpuWorker } from './node-worker.ts'

/** Running CPUs. */
export interface Cpus {
  readonly count: number
  /** Runs `job` on CPU `cpu`. Rejects with the job's error, or with that of a CPU that died. */
  run(cpu: number, job: CpuJob): Promise<unknown>
  /** Runs a job on every CPU, with `data(cpu)` as its data. */
  runAll(job: Omit<CpuJob, 'data'>, data: (cpu: number) => unknown): Promise<unknown[]>
  /** Ends all threads. */
  stop(): Promise<void>
}

interface Pending {
  readonly resolve: (value: unknown) => void
  readonly reject: (error: Error) => void
}

/** Starts `count` CPUs of `machine`. Resolves once all have attached. */
export async function startCpus(machine: MachineHandle, count: number, factory: CpuWorkerFactory = nodeCpuWorker): Promise<Cpus> {
  const pending = new Map<number, Pending>()
  let nextId = 0
  let stopped = false
  let death: Error | undefined

  const die = (cpu: number, reason: string): void => {
    if (stopped || death !== undefined) return
    death = new Error(`CPU ${cpu} died: ${reason}`)
    for (const { reject } of pending.values()) reject(death)
    pending.clear()
    void stop()
  }
  const settle = (message: FromCpu): void => {
    if (message.kind === 'ready') return
    const waiting = pending.get(message.id)
    pending.delete(message.id)
    if (message.kind === 'done') waiting?.resolve(message.result)
    else waiting?.reject(Object.assign(new Error(message.message), { stack: message.stack }))
  }
  const start = (cpu: number): Promise<CpuWorker> =>
    new Promise((resolve, reject) => {
      const worker = factory({ machine, cpu })
      worker.onMessage((message) => (message.kind === 'ready' ? resolve(worker) : settle(message)))
      worker.onDeath((reason) => {
        reject(new Error(`CPU ${cpu} died: ${reason}`))
        die(cpu, reason)
      })
    })
  const workers = await Promise.all(Array.from({ length: count }, (_, cpu) => start(cpu)))

  async function stop(): Promise<void> {
    stopped = true
    await Promise.all(workers.map((worker) => worker.terminate()))
  }
  const run = (cpu: number, job: CpuJob): Promise<unknown> =>
    new Promise((resolve, reject) => {
      const worker = workers[cpu]
      if (death !== undefined) reject(death)
      else if (stopped || worker === undefined) reject(new Error(`there is no CPU ${cpu}`))
      else {
        const id = nextId++
        pending.set(id, { resolve, reject })
        worker.post({ kind: 'job', id, job })
      }
    })
  return {
    count,
    run,
    runAll: (job, data) => Promise.all(workers.map((_, cpu) => run(cpu, { ...job, data: data(cpu) }))),
    stop,
  }
}
