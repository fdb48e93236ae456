// CPU 1 of the concurrency test: reads the tree under RCU alone until told to stop, and reports the first thing that no
// state of the tree could have answered. The entries that stay are at 64 i + 20 to 64 i + 23; any other entry says in
// its own bits what range it was stored for.
import { parentPort, workerData } from 'node:worker_threads'
import { Mode, setContext } from '../../dist/kernel/machine/entry.js'
import { bindHeap } from '../../dist/kernel/machine/heap.js'
import { bindCpu, load, readOnce, thisCpu } from '../../dist/kernel/machine/instructions.js'
import { Cpu } from '../../dist/kernel/machine/percpu.js'
import { rcuReadLock, rcuReadUnlock } from '../../dist/kernel/sync/rcu.js'
import { masNext, masPrev, mtFind, mtLoad, mtNext, mtPrev } from '../../dist/kernel/vma/maple-tree.js'

const { buffer, areas, tree, stop, stable } = workerData
bindHeap(buffer)
bindCpu(1, areas, () => {}, true)

const MAX = 0x7fffffff
const counts = { loads: 0, walks: 0, seen: 0 }
const words = new Int32Array(buffer)

const firstOf = (entry) => entry >>> 13
const lastOf = (entry) => firstOf(entry) + ((entry >>> 3) & 1023)
const stableEntry = (i) => (((64 * i + 20) << 10) | 3) << 3
const bounds = () => [load(thisCpu() + Cpu.out0), load(thisCpu() + Cpu.out1)]

function check(condition, what) {
  if (!condition) throw new Error(what)
}

function possible(entry, what) {
  const [first, last] = bounds()
  check(
    first >= firstOf(entry) && last <= lastOf(entry) && first <= last,
    `${what}: entry for ${firstOf(entry)}-${lastOf(entry)} found at ${first}-${last}`,
  )
  counts.seen++
  return first
}

/** Under RCU, like a kernel entry: in, look, out. */
function section(body) {
  setContext(Mode.kernel)
  rcuReadLock()
  body()
  rcuReadUnlock()
  setContext(Mode.outside)
}

function points(i) {
  for (let k = 20; k < 24; k++) check(mtLoad(tree, 64 * i + k) === stableEntry(i), `stable page ${64 * i + k} not found`)
  for (let k = 24; k < 40; k++) {
    const entry = mtLoad(tree, 64 * i + k)
    check(entry === 0 || (firstOf(entry) <= 64 * i + k && lastOf(entry) >= 64 * i + k), `page ${64 * i + k}: entry of another range`)
  }
  const next = mtNext(tree, 64 * i + 21, MAX)
  if (next !== 0) check(possible(next, 'next') > 64 * i + 23, 'next is not behind')
  else check(i === stable - 1, 'no next')
  const previous = mtPrev(tree, 64 * i + 21, 0)
  if (previous !== 0) check(possible(previous, 'prev') < 64 * i + 20, 'prev is not before')
  else check(i === 0, 'no prev')
  counts.loads += 20
}

function forward() {
  let expected = 0
  let at = -1
  for (let entry = mtFind(tree, 0, MAX); entry !== 0; entry = masNext(MAX)) {
    // A range that was stored meanwhile may begin before the one that the walk left, but must end behind it.
    possible(entry, 'forward')
    const [, last] = bounds()
    check(last > at, 'forward: not ascending')
    at = last
    if (entry === stableEntry(expected)) expected++
  }
  check(expected === stable, `forward: stable entry ${expected} missed`)
  counts.walks++
}

function backward() {
  let expected = stable - 1
  let at = MAX
  for (let entry = mtPrev(tree, MAX, 0); entry !== 0; entry = masPrev(0)) {
    const first = possible(entry, 'backward')
    check(first < at, 'backward: not descending')
    at = first
    if (entry === stableEntry(expected)) expected--
  }
  check(expected === -1, `backward: stable entry ${expected} missed`)
  counts.walks++
}

let failure = ''
parentPort.postMessage('ready')
try {
  while (readOnce(stop) === 0) {
    for (let i = 0; i < stable; i++) section(() => points(i))
    section(forward)
    section(backward)
  }
} catch (error) {
  failure = error.message
  setContext(Mode.outside)
}
Atomics.store(words, stop + 1, failure === '' ? 1 : 2)
parentPort.postMessage({ failure, ...counts })
