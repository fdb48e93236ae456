// Refcache (Clements, Kaashoek, Zeldovich: RadixVM, EuroSys 2013), scaled down to one object: each CPU counts its references and
// releases in a word of its own, adds that word to the object's count once in each epoch, and an epoch ends when every CPU has
// done so. The count being zero says nothing, because CPUs may still hold what they have not added; an object whose count has
// stayed zero for long enough is free.
import { load, readOnce, relax, smpProcessorId, store, writeOnce } from '../../kernel/machine/instructions.ts'
import { struct } from '../../kernel/machine/struct.ts'
import { spinLock, spinUnlock } from '../../kernel/sync/spinlock.ts'

/**
 * `lock` guards `epoch`, `flushed` (bits of the CPUs that have flushed in this epoch), `count` and `review`: the epoch in which the
 * object, on the review list since its count became zero, may be freed; 0 where it is not on the list. `given`: the first
 * CPU has its reference. `delta`: a word for each CPU, which it alone writes.
 */
export const Refcache = struct({ lock: 1, epoch: 1, flushed: 1, count: 1, review: 1, alive: 1, freed: 1, given: 1, delta: 3 })

/** What calls return: all is well, or a dead object was used. */
export const Saw = Object.freeze({ well: 0, dead: 1 })

/** An object with one reference, which the second CPU has, in epoch 1. */
export function make(cache: number): number {
  store(cache + Refcache.epoch, 1)
  store(cache + Refcache.count, 1)
  writeOnce(cache + Refcache.alive, 1)
  return 0
}

function add(cache: number, delta: number): void {
  const word = cache + Refcache.delta + smpProcessorId()
  store(word, load(word) + delta)
}

/** Adds what the CPU has counted to the object's count. A count that is not zero takes the object off the review list. */
function flush(cache: number, epochs: number): void {
  const word = cache + Refcache.delta + smpProcessorId()
  const delta = load(word)
  store(word, 0)
  if (delta === 0) return
  const count = load(cache + Refcache.count) + delta
  store(cache + Refcache.count, count)
  store(cache + Refcache.review, count === 0 ? load(cache + Refcache.epoch) + epochs : 0)
}

/**
 * What each CPU of `cpus` does once in each epoch: flushes, ends the epoch if it is the last, and frees the object if its count
 * has been zero for `epochs` ends of epochs.
 */
export function tick(cache: number, cpus: number, epochs: number): number {
  spinLock(cache + Refcache.lock)
  const all = (1 << cpus) - 1
  const mine = 1 << smpProcessorId()
  // In each epoch once.
  if ((load(cache + Refcache.flushed) & mine) === 0) {
    flush(cache, epochs)
    store(cache + Refcache.flushed, load(cache + Refcache.flushed) | mine)
  }
  if (load(cache + Refcache.flushed) === all) {
    store(cache + Refcache.flushed, 0)
    store(cache + Refcache.epoch, load(cache + Refcache.epoch) + 1)
  }
  const review = load(cache + Refcache.review)
  if (review !== 0 && load(cache + Refcache.epoch) >= review) {
    store(cache + Refcache.review, 0)
    writeOnce(cache + Refcache.alive, 0)
    store(cache + Refcache.freed, load(cache + Refcache.freed) + 1)
  }
  spinUnlock(cache + Refcache.lock)
  return 0
}

/** Takes a reference, while the other CPU has one, and says so. */
export function get(cache: number): number {
  add(cache, 1)
  writeOnce(cache + Refcache.given, 1)
  return 0
}

/** Uses the object, to which the CPU has a reference, and releases it. */
export function useAndPut(cache: number): number {
  const alive = readOnce(cache + Refcache.alive)
  add(cache, -1)
  return alive !== 0 ? Saw.well : Saw.dead
}

/** Releases the reference, once the other CPU has its own. */
export function putWhenGiven(cache: number): number {
  while (readOnce(cache + Refcache.given) === 0) relax()
  add(cache, -1)
  return 0
}
