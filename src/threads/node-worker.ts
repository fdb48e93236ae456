// CPU threads in Node.
import { Worker } from 'node:worker_threads'
import type { CpuStart, CpuWorker, FromCpu, ToCpu } from './cpu-job.ts'

/** Starts a worker thread for one CPU. */
export function nodeCpuWorker(start: CpuStart): CpuWorker {
  const worker = new Worker(new URL('./cpu-worker.js', import.meta.url), { workerData: start, name: `cpu ${start.cpu}` })
  return {
    post: (message: ToCpu) => worker.postMessage(message),
    onMessage: (handler: (message: FromCpu) => void) => worker.on('message', handler),
    onDeath: (handler) => {
      worker.on('error', (error: Error) => handler(error.stack ?? error.message))
      worker.on('exit', (code) => handler(`its thread exited with code ${code}`))
    },
    terminate: async () => {
      await worker.terminate()
    },
  }
}
