// Data races, exactly and without clocks: an agent's plain accesses since its last marked store cannot have been
// published to anybody. A conflicting access of another CPU to such a word (one of the two writes) is a data race, whatever
// the orderings say. Each race shows in one of its two orders, and an exploration covers both. Data frames in user mode
// belong to the program, and its races are its own; what a CPU's area has for that CPU alone is not recorded.
import { Op } from '../../compile/stepped/ops.ts'
import { Mode } from '../../kernel/machine/entry.ts'
import { refill } from '../undo.ts'
import { onWord, storesWord } from '../word-operation.ts'
import type { Objects } from './objects.ts'
import { addFact, agentName, cpuOf, type Detector, hex, mix, place, type Scene } from './scene.ts'
import type { Sections } from './sections.ts'

const READ = 1
const WRITE = 2
const FIRST_TABLE = 1 << 10

/** The plain accesses of one agent since its CPU's last marked store. */
interface Segment {
  /** A hash table: word + 1, kinds of access, place. Entries are those of this stamp. */
  keys: Int32Array
  kinds: Uint8Array
  places: Int32Array
  stamps: Int32Array
  stamp: number
  count: number
  /** The words in it. */
  readonly words: number[]
  /** Bulk accesses: first word, behind the last, kind, place. */
  readonly ranges: number[]
  sum: number
}

function createSegment(): Segment {
  return {
    keys: new Int32Array(FIRST_TABLE),
    kinds: new Uint8Array(FIRST_TABLE),
    places: new Int32Array(FIRST_TABLE),
    stamps: new Int32Array(FIRST_TABLE),
    stamp: 1,
    count: 0,
    words: [],
    ranges: [],
    sum: 0,
  }
}

/** The entry of word `p`, or a free one. */
function slotOf(segment: Segment, p: number): number {
  const mask = segment.keys.length - 1
  let at = (Math.imul(p, 0x9e3779b1) >>> 12) & mask
  while (segment.stamps[at] === segment.stamp && segment.keys[at] !== p) at = (at + 1) & mask
  return at
}

function growSegment(segment: Segment): void {
  const { keys, kinds, places, stamps, stamp } = segment
  const size = keys.length * 2
  segment.keys = new Int32Array(size)
  segment.kinds = new Uint8Array(size)
  segment.places = new Int32Array(size)
  segment.stamps = new Int32Array(size)
  segment.stamp = 1
  for (let i = 0; i < keys.length; i++) {
    if (stamps[i] !== stamp) continue
    const at = slotOf(segment, keys[i] as number)
    segment.stamps[at] = 1
    segment.keys[at] = keys[i] as number
    segment.kinds[at] = kinds[i] as number
    segment.places[at] = places[i] as number
  }
}

function addAccess(segment: Segment, p: number, kind: number, site: number): void {
  const at = slotOf(segment, p)
  if (segment.stamps[at] === segment.stamp) {
    const had = segment.kinds[at] as number
    if ((had | kind) === had) return
    segment.kinds[at] = had | kind
    segment.places[at] = site
    segment.sum = (segment.sum - mix(p, had) + mix(p, had | kind)) | 0
    return
  }
  segment.stamps[at] = segment.stamp
  segment.keys[at] = p
  segment.kinds[at] = kind
  segment.places[at] = site
  segment.sum = (segment.sum + mix(p, kind)) | 0
  segment.words.push(p)
  if (++segment.count * 2 > segment.keys.length) growSegment(segment)
}

function endSegment(segment: Segment): void {
  if (segment.count === 0 && segment.ranges.length === 0) return
  segment.stamp++
  segment.count = 0
  segment.words.length = 0
  segment.ranges.length = 0
  segment.sum = 0
}

/** Remembers what is in a segment. Returns what brings it back. */
function saveSegment(segment: Segment): () => void {
  const { kinds, places } = segment
  const slots = segment.words.map((p) => slotOf(segment, p))
  const words = segment.words.slice()
  const keptKinds = slots.map((at) => kinds[at] as number)
  const keptPlaces = slots.map((at) => places[at] as number)
  const ranges = segment.ranges.slice()
  const { sum } = segment
  return () => {
    endSegment(segment)
    for (let i = 0; i < words.length; i++) addAccess(segment, words[i] as number, keptKinds[i] as number, keptPlaces[i] as number)
    refill(segment.ranges, ranges)
    segment.sum = sum
  }
}

/** Watches for data races under sequential consistency. */
export function detectPlainRaces(scene: Scene, objects: Objects, sections: Sections): Detector {
  const { agents } = scene
  const segments = Array.from({ length: agents }, createSegment)
  /** A CPU's task and its interrupt handler are in one order: what either publishes, both have published. */
  const publish = (agent: number): void => {
    const cpu = cpuOf(scene, agent)
    endSegment(segments[cpu] as Segment)
    endSegment(segments[cpu + scene.cpus] as Segment)
  }
  const wrong = (agent: number, p: number, what: string, site: number, other: number, otherKind: number, otherSite: number): void => {
    const object = objects.at(p)
    const which = object === 0 ? hex(p) : `${hex(p)} (word ${p - objects.first(object)} of ${objects.name(object)})`
    scene.report({
      detector: 'data-race',
      bookkeeping: false,
      message:
        `data race on word ${which}: ${what} by ${agentName(scene, agent)} at ${place(scene, site)}, beside ` +
        `${(otherKind & WRITE) !== 0 ? 'a plain store' : 'a plain load'} by ${agentName(scene, other)} at ${place(scene, otherSite)}`,
      agent,
      objects: [p],
      related: [{ text: (otherKind & WRITE) !== 0 ? 'plain store' : 'plain load', agent: other, site: otherSite, event: -1 }],
    })
  }
  const judge = (agent: number, p: number, kind: number, what: string, site: number): void => {
    const cpu = cpuOf(scene, agent)
    for (let other = 0; other < agents; other++) {
      if (cpuOf(scene, other) === cpu) continue
      const segment = segments[other] as Segment
      if (segment.count > 0) {
        const at = slotOf(segment, p)
        if (segment.stamps[at] === segment.stamp && ((segment.kinds[at] as number) | kind) >= WRITE)
          wrong(agent, p, what, site, other, segment.kinds[at] as number, segment.places[at] as number)
      }
      const { ranges } = segment
      for (let i = 0; i < ranges.length; i += 4) {
        if (p >= (ranges[i] as number) && p < (ranges[i + 1] as number) && ((ranges[i + 2] as number) | kind) >= WRITE)
          wrong(agent, p, what, site, other, ranges[i + 2] as number, ranges[i + 3] as number)
      }
    }
  }
  const bulk = (agent: number, p: number, count: number, kind: number, site: number): void => {
    const cpu = cpuOf(scene, agent)
    const what = kind === WRITE ? 'a bulk write' : 'a bulk read'
    for (let other = 0; other < agents; other++) {
      if (cpuOf(scene, other) === cpu) continue
      const { keys, kinds, places, stamps, stamp, ranges, count: entries } = segments[other] as Segment
      if (entries > 0) {
        for (let at = 0; at < keys.length; at++) {
          const word = keys[at] as number
          if (stamps[at] === stamp && word >= p && word < p + count && ((kinds[at] as number) | kind) >= WRITE)
            wrong(agent, word, what, site, other, kinds[at] as number, places[at] as number)
        }
      }
      for (let i = 0; i < ranges.length; i += 4) {
        if (p < (ranges[i + 1] as number) && p + count > (ranges[i] as number) && ((ranges[i + 2] as number) | kind) >= WRITE)
          wrong(agent, Math.max(p, ranges[i] as number), what, site, other, ranges[i + 2] as number, ranges[i + 3] as number)
      }
    }
    const segment = segments[agent] as Segment
    segment.ranges.push(p, p + count, kind, site)
    segment.sum = (segment.sum + mix(p ^ 0x55555555, count * 4 + kind)) | 0
  }
  const { Cpu, CPU_STRIDE } = scene.machine.tree.percpu
  const ownWords = CPU_STRIDE - Cpu.irqOff
  /** Not judged: the program's own words, and those that the executing CPU keeps for itself. */
  const isPrivate = (agent: number, p: number): boolean => {
    if (scene.nrFrames > 0 && p >= scene.frames) return sections.mode(agent) === Mode.user
    const offset = p - scene.area(cpuOf(scene, agent)) - Cpu.irqOff
    return offset >= 0 && offset < ownWords
  }
  let poisoners = new Uint8Array(0)
  /** What an allocator fills a dying object with races with every use after free; that has a detector of its own. */
  const isPoison = (p: number, site: number): boolean => {
    if (site >= poisoners.length)
      poisoners = Uint8Array.from(scene.sites, ({ function: name }) => (name === 'poisonFrame' ? 1 : name === 'kmemCacheFree' ? 2 : 0))
    return poisoners[site] === 1 || (poisoners[site] === 2 && objects.at(p) > scene.nrFrames)
  }
  return {
    reset: () => {
      for (const segment of segments) endSegment(segment)
    },
    save: () => {
      const back = segments.map(saveSegment)
      return () => {
        for (const bringBack of back) bringBack()
      }
    },
    finish: () => {
      for (const segment of segments) endSegment(segment) // whoever comes after the end comes after all of it
    },
    step: (agent, op, a, b, _c, before, _after, site) => {
      if (op === Op.sendIpi || op === Op.futexWake) return publish(agent)
      if (!onWord(op)) return
      const stores = storesWord(op, before, b)
      if (!isPrivate(agent, a)) judge(agent, a, stores ? WRITE : READ, stores ? 'a marked write' : 'a marked read', site)
      if (stores) publish(agent)
    },
    plain: (agent, op, a, b, c, site) => {
      if (scene.deaf) return
      if (op === Op.load || op === Op.store) {
        if (isPrivate(agent, a) || (op === Op.store && isPoison(a, site))) return
        const kind = op === Op.load ? READ : WRITE
        judge(agent, a, kind, op === Op.load ? 'a plain load' : 'a plain store', site)
        addAccess(segments[agent] as Segment, a, kind, site)
      } else if (op === Op.zeroPage) bulk(agent, a, b, WRITE, site)
      else if (op === Op.copyPage) {
        bulk(agent, b, c, READ, site)
        bulk(agent, a, c, WRITE, site)
      }
    },
    digest: (into) => {
      for (let agent = 0; agent < agents; agent++) {
        const { sum } = segments[agent] as Segment
        if (sum !== 0) addFact(into, 0xace0 + agent, sum)
      }
    },
  }
}
