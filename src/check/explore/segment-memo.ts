// What code does between two steps, remembered. A segment is a function of where the frames stand with which locals (their hashes), of
// the result of the step, and of what its plain loads find; most of those that an exploration meets it has met before. Then
// they are played instead of run, and the generator is left behind until something new comes (kernel-save.ts). Watchers see no
// difference. As with states that are merged, unequal frames with equal hashes are taken not to occur.

import { type Observer, Row } from '../../compile/stepped/announce.ts'
import { Op } from '../../compile/stepped/ops.ts'

/** How a stretch ends: not known yet, with a plain load, with a step, with the end of the task. */
const End = Object.freeze({ unknown: 0, load: 1, step: 2, done: 3 })
/** Numbers that an event takes: operation, operands, place. */
const EVENT = 5
/** Words of a row, without those that are unused. */
const ROW = Row.hash1 + 1
/** Stretches that are remembered at most: some 100 MB. */
const LIMIT = 400_000

/** A part of a segment in which nothing is decided: what is done after a step's result, or after what a load found. */
interface Stretch {
  /** Stores, bulk operations, fences, annotations, marks of loops. */
  readonly events: number[]
  end: number
  /** Of a load: its word and place, and what follows by the value found. */
  load: number
  site: number
  next: Map<number, Stretch> | null
  /** The row of a step. */
  row: Int32Array | null
  /** What the task returned. */
  result: unknown
}

/** The first stretch of a segment, and what it is known by. */
interface Segment {
  readonly first: Stretch
  readonly agent: number
  readonly hash0: number
  readonly hash1: number
  readonly value: number
}

/** All segments seen, and the stretch that is being written down. */
export interface SegmentMemo {
  readonly segments: Map<number, Segment>
  count: number
  writing: Stretch | null
}

/** Nothing is remembered. */
export function createSegmentMemo(): SegmentMemo {
  return { segments: new Map(), count: 0, writing: null }
}

function createStretch(memo: SegmentMemo): Stretch {
  memo.count++
  return { events: [], end: End.unknown, load: 0, site: 0, next: null, row: null, result: undefined }
}

/** The segment of `agent`, whose frames have the hashes in `row`, after a step that came to `value`. Null if it cannot be remembered. */
export function segmentAfter(memo: SegmentMemo, agent: number, rows: Int32Array, row: number, value: number): Stretch | null {
  const hash0 = rows[row + Row.hash0] as number
  const hash1 = rows[row + Row.hash1] as number
  const mixed = Math.imul(hash1 ^ Math.imul(value, 0x9e3779b1) ^ Math.imul(agent + 1, 0x85ebca6b), 0x27d4eb2f)
  const key = (hash0 >>> 0) * 2 ** 21 + ((mixed ^ (mixed >>> 15)) & 0x1fffff)
  const known = memo.segments.get(key)
  if (known !== undefined) {
    const same = known.agent === agent && known.hash0 === hash0 && known.hash1 === hash1 && known.value === value
    return same ? known.first : null
  }
  if (memo.count >= LIMIT) return null
  const first = createStretch(memo)
  memo.segments.set(key, { first, agent, hash0, hash1, value })
  return first
}

/** Code has told the observer of `op`: it is written down, if it is to be. `found`: what a load finds. */
export function writeDown(memo: SegmentMemo, op: number, a: number, b: number, c: number, site: number, found: number): void {
  const { writing } = memo
  if (writing === null) return
  if (op !== Op.load) {
    writing.events.push(op, a, b, c, site)
    return
  }
  writing.end = End.load
  writing.load = a
  writing.site = site
  const after = createStretch(memo)
  writing.next = new Map([[found, after]])
  memo.writing = after
}

/** From here on a stretch of which nothing is known is written down. */
export function beginWriting(memo: SegmentMemo, stretch: Stretch): void {
  stretch.events.length = 0 // what was written before code failed
  memo.writing = stretch
}

/** The segment has ended: with a step, as in `row` of `rows`, or (`done`) with the task. */
export function endWriting(memo: SegmentMemo, rows: Int32Array, row: number, done: boolean, result: unknown): void {
  const { writing } = memo
  if (writing === null) return
  memo.writing = null
  writing.end = done ? End.done : End.step
  if (done) writing.result = result
  else writing.row = rows.slice(row, row + ROW)
}

/** Code failed: the segment has no end. */
export function stopWriting(memo: SegmentMemo): void {
  memo.writing = null
}

/** Where a segment that was played has come to. */
export interface Played {
  /** A stretch of which nothing is known yet: the code has to run on from here. Else null. */
  unknown: Stretch | null
  done: boolean
  result: unknown
}

/** Plays a segment from its first stretch on; `played` says how far. */
export function play(
  memo: SegmentMemo,
  first: Stretch,
  observer: Observer,
  words: Int32Array,
  rows: Int32Array,
  row: number,
  played: Played,
): void {
  for (let stretch = first; ; ) {
    if (stretch.end === End.unknown) {
      played.unknown = stretch
      return
    }
    const { events } = stretch
    for (let i = 0; i < events.length; i += EVENT) {
      const op = events[i] as number
      const a = events[i + 1] as number
      const b = events[i + 2] as number
      const c = events[i + 3] as number
      observer(op, a, b, c, events[i + 4] as number)
      if (op === Op.store) words[a] = b
      else if (op === Op.zeroPage) words.fill(0, a, a + b)
      else if (op === Op.copyPage) words.copyWithin(a, b, b + c)
    }
    if (stretch.end === End.load) {
      observer(Op.load, stretch.load, 0, 0, stretch.site)
      const found = words[stretch.load] as number
      const next = stretch.next as Map<number, Stretch>
      let after = next.get(found)
      if (after === undefined) {
        after = createStretch(memo)
        if (memo.count < LIMIT) next.set(found, after)
      }
      stretch = after
      continue
    }
    played.unknown = null
    played.done = stretch.end === End.done
    played.result = stretch.result
    if (!played.done) rows.set(stretch.row as Int32Array, row)
    return
  }
}
