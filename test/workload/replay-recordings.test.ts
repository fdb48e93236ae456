// Sample recordings, replayed once in one combination each, and verified.
import { expect, it } from 'vitest'
import { openRecording } from '../../src/trace/read.ts'
import { buildProgram } from '../../src/workload/program/build.ts'
import { assumeTouches, type TouchPolicy } from '../../src/workload/program/touches.ts'
import type { PageMap } from '../../src/workload/replay/addresses.ts'
import { verify } from '../../src/workload/replay/verify.ts'
import { replayed } from './replay-programs.ts'

const CASES: [string, string, string, PageMap, TouchPolicy][] = [
  ['threads.tracepoints.perf-script.gz', 'vma-lock', 'x86_64', 'scale', 'none'],
  ['threads.tracepoints.perf-script.gz', 'mmap-lock', 'powerpc64-hash-64k', 'round', 'none'],
  ['redis.tracepoints.perf-script.gz', 'vma-lock', 'powerpc64-hash-64k', 'scale', 'none'],
  ['gcc.strace', 'mmap-lock', 'x86_64', 'scale', 'sample:4'],
  ['node.strace', 'vma-lock', 'powerpc64-hash-64k', 'scale', 'first'],
  ['threads.strace', 'mmap-lock', 'x86_64', 'scale', 'all'],
]

it.each(CASES)('%s under %s on %s, %s', async (file, design, arch, pageMap, touch) => {
  const recorded = await buildProgram(await openRecording(`examples/recordings/${file}`))
  const program = touch === 'none' ? recorded : assumeTouches(recorded, touch)
  const result = await replayed(program, { design, arch, pageMap })
  expect(result.completed).toBe(result.operations)
  const verdict = await verify(result.log)
  expect(verdict).toMatchObject({ findings: [], verified: true, outOfMemory: 0, differing: 0 })
  expect(verdict.spaces).toBe(program.spaces.length)
})
