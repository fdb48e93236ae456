// One address space, four Workers: each maps memory of its own, fills it, and reads what the others have filled.
// Run it with: node examples/four-workers.mjs
import { isMainThread, Worker, workerData } from 'node:worker_threads'
import { attachMachine, createMachine } from 'gracewalk'

const PAGES = 200

if (isMainThread) {
  const machine = createMachine({ memory: 64 << 20, cpus: 5 })
  const space = machine.createSpace()
  const board = space.mmap({ length: machine.pageSize }) // four addresses, then two counters
  const start = (me) => new Worker(new URL(import.meta.url), { workerData: { handle: machine.handle, id: space.id, board, me } })
  const end = (worker) => new Promise((resolve, reject) => worker.once('exit', resolve).once('error', reject))
  await Promise.all([0, 1, 2, 3].map((me) => end(start(me))))
  console.log(`${space.getInt32(board + 32)} pages checked, ${space.maps().length} mapping left`)
} else {
  const { handle, id, board, me } = workerData
  const machine = attachMachine(handle)
  const space = machine.space(id)
  const size = machine.pageSize
  const meet = (round) => {
    const arrived = space.atomics.add(board + 36, 1) + 1
    if (arrived === 4 * round) space.atomics.notify(board + 36)
    for (let n = arrived; n < 4 * round; n = space.atomics.load(board + 36)) space.atomics.wait(board + 36, n)
  }

  const mine = space.mmap({ length: PAGES * size })
  for (let page = 0; page < PAGES; page++) space.setInt32(mine + page * size, me * 1000 + page)
  space.setFloat64(board + 8 * me, mine)
  meet(1)
  for (let other = 0; other < 4; other++) {
    const theirs = space.getFloat64(board + 8 * other)
    for (let page = 0; page < PAGES; page++) {
      if (space.getInt32(theirs + page * size) === other * 1000 + page) space.atomics.add(board + 32, 1)
    }
  }
  meet(2)
  space.munmap(mine, PAGES * size)
  machine.detach()
}
