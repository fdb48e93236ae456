// The thread of one CPU in Node: attaches to the machine, then runs the jobs it is sent, one after the other.
import { parentPort, workerData } from 'node:worker_threads'
import type { CpuStart, FromCpu, ToCpu } from './cpu-job.ts'
import { runJob, startCpu } from './cpu-loop.ts'

const port = parentPort
if (port === null) throw new Error('cpu-worker runs as a worker thread')
const send = (message: FromCpu): void => port.postMessage(message)

await startCpu(workerData as CpuStart)
port.on('message', (message: ToCpu) => {
  if (message.kind === 'stop') port.close()
  else void runJob(message.id, message.job).then(send)
})
send({ kind: 'ready' })
