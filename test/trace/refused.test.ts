// Files of another kind: one clear sentence that names the kind, as a TraceError.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { expect, test } from 'vitest'
import { openRecording } from '../../src/trace/read.ts'
import { perf, recordingOf, sample } from './recorded.ts'

async function refusal(promise: Promise<unknown>): Promise<string> {
  const error = await promise.then(
    () => new Error('was accepted'),
    (reason) => reason,
  )
  expect(error).toMatchObject({ name: 'TraceError' })
  expect(error.message).not.toContain('\n')
  return error.message
}

test.each([
  ['threads.lackey.gz', 'is valgrind lackey output; gracewalk run reads `perf script`'],
  ['sort.perf-trace', 'is `perf trace` output; gracewalk run reads'],
  ['sort.pagefaults.perf-script.gz', 'is perf samples of page-faults'],
  ['threads.bpftrace', 'is output of a bpftrace script; gracewalk run reads'],
  ['node.proc-maps', 'is a /proc/PID/maps snapshot'],
  ['node.proc-smaps', 'is a /proc/PID/smaps snapshot'],
  ['node.proc-numa_maps', 'is a /proc/PID/numa_maps snapshot'],
])('%s', async (name, sentence) => {
  const message = await refusal(openRecording(sample(name)))
  expect(message).toContain(`${name} ${sentence}`)
})

test.each<[string, string | Uint8Array, string]>([
  ['perf.data', 'PERFILE2\u0001\0\0\0', 'perf script -i FILE'],
  ['perf.data in gzip', gzipSync('PERFILE2\u0001\0\0\0'), 'perf script -i FILE'],
  ['a program', '\x7fELF\x02\x01\x01\0', 'ELF program'],
  ['bytes', Uint8Array.from({ length: 3000 }, (_, at) => (at * 7919) % 251), 'binary file of an unknown kind'],
  ['zstd', Uint8Array.from([0x28, 0xb5, 0x2f, 0xfd, 1, 2, 3]), 'zstd'],
  ['xz', Uint8Array.from([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0, 1]), 'xz'],
  ['trace-cmd text', '     prog-77  [001] 12.345678: page_fault_user: address=0x1 ip=0x2 error_code=0x4\n', 'ftrace or trace-cmd text'],
  ['prose', 'It was a dark and stormy night.\n', 'not a recording that gracewalk knows'],
  ['a diff', '--- a/x.c\n+++ b/x.c\n@@ -1 +1 @@\n-a\n+b\n', 'not a recording that gracewalk knows'],
  ['JSON', '{"traceEvents": []}\n', 'JSON'],
  ['CPU samples', 'prog  77 12.345678:  250000 cycles:  7f00 main (/bin/x)\n', 'perf samples of cycles'],
  ['no text', 'prog 77 1.345678: exceptions:page_fault_user: \n', 'add `trace` to the fields'],
  ['nothing', '', 'is empty'],
  ['blank lines', '\n\n\n', 'is empty'],
  ['nothing in gzip', gzipSync(''), 'is empty'],
])('%s', async (_name, content, sentence) => {
  expect(await refusal(recordingOf(content))).toContain(sentence)
})

test('files that are not there', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'recording-'))
  try {
    expect(await refusal(openRecording(join(directory, 'none')))).toContain('no such file')
    expect(await refusal(openRecording(directory))).toContain('is a directory')
    writeFileSync(join(directory, 'empty'), '')
    expect(await refusal(openRecording(join(directory, 'empty')))).toContain('is empty')
  } finally {
    rmSync(directory, { recursive: true })
  }
})

test('a recording is told by most of its lines, not by its first', async () => {
  const fault = perf(7, 7, 1_000_000, 'exceptions:page_fault_user', 'address=0x1000 ip=0x2 error_code=0x4')
  expect((await recordingOf(`# comment\n\nnoise\n${fault.repeat(3)}`)).report.format).toBe('perf script')
  expect((await recordingOf('strace: Process 7 attached\nbrk(NULL) = 0x1000\n')).report.format).toBe('strace')
})
