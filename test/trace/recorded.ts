// Recordings for the tests: the shipped ones, and text made on the spot.

import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { gunzipSync } from 'node:zlib'
import type { Recording, TraceEvent } from '../../src/trace/events.ts'
import { readRecording } from '../../src/trace/read.ts'

/** Path of a recording that is shipped as an example. */
export function example(name: string): string {
  return fileURLToPath(new URL(`../../examples/recordings/${name}`, import.meta.url))
}

/** Path of a recording that only the tests need. */
export function sample(name: string): string {
  return fileURLToPath(new URL(`../recordings/${name}`, import.meta.url))
}

/** The lines of a recording, read without any of the code under test. */
export function linesOf(path: string): string[] {
  const bytes = readFileSync(path)
  const text = (path.endsWith('.gz') ? gunzipSync(bytes) : bytes).toString('utf8')
  return text.replace(/\n$/, '').split('\n')
}

/** A stream of bytes in pieces of `size`. */
export async function* bytes(content: string | Uint8Array, size = 1 << 16): AsyncGenerator<Uint8Array> {
  const buffer = Buffer.from(content as Uint8Array)
  for (let at = 0; at < buffer.length; at += size) yield buffer.subarray(at, at + size)
}

/** A recording of this text. */
export function recordingOf(content: string | Uint8Array, size?: number): Promise<Recording> {
  return readRecording(bytes(content, size), 'text')
}

/** All its events. */
export async function eventsOf(recording: Recording): Promise<TraceEvent[]> {
  const out: TraceEvent[] = []
  for await (const event of recording.events) out.push(event)
  return out
}

/** A line of `perf script -F comm,pid,tid,cpu,time,event,trace`. */
export function perf(pid: number, tid: number, time: number, event: string, text: string, comm = 'prog'): string {
  const seconds = Math.floor(time / 1e6)
  const fraction = String(time % 1e6).padStart(6, '0')
  return `${comm.padStart(16)} ${String(pid).padStart(5)}/${String(tid).padEnd(5)} [000] ${String(seconds).padStart(5)}.${fraction}: ${event.padStart(36)}: ${text}\n`
}
