// Directories for changed kernels: one for the whole process, removed when it ends. Workers, which may be ended at any
// time, put theirs into it and remove nothing.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

let scratch: string | undefined

/** The directory of this process. */
export function scratchDirectory(): string {
  if (scratch !== undefined) return scratch
  const made = mkdtempSync(join(tmpdir(), 'gracewalk-'))
  process.once('exit', () => rmSync(made, { recursive: true, force: true }))
  scratch = made
  return made
}

/** In a Worker: uses `directory`, which another thread removes. */
export function useScratch(directory: string): void {
  scratch = directory
}

/** A fresh directory that is removed with the process. */
export function ownDirectory(): string {
  return mkdtempSync(join(scratchDirectory(), 'kernel-'))
}
