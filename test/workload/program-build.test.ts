// Small recordings and the programs they show.
import { describe, expect, test } from 'vitest'
import { openRecording } from '../../src/trace/read.ts'
import { buildProgram } from '../../src/workload/program/build.ts'
import { describeProgram, slotsUsed, summarizeProgram } from '../../src/workload/program/summary.ts'
import { example, recordingOf } from '../trace/recorded.ts'
import { programOf, Recorder, short } from './replayed.ts'

const A = 0x7f0000000000
const RW = [3, 0x22, -1, 0] as const

describe('threads and processes', () => {
  test('a thread id in the process of its parent is a thread', async () => {
    const program = await programOf(
      new Recorder()
        .touch(7, 7, A)
        .fork(7, 7, 8)
        .touch(7, 8, A + 0x1000).text,
    )
    expect(program.processes.length).toBe(1)
    expect(program.tasks.map(({ tid, process, parent }) => [tid, process, parent])).toEqual([
      [7, 0, -1],
      [8, 0, 0],
    ])
    expect(program.operations.some(({ kind }) => kind === 'fork')).toBe(false)
    // its first operation comes behind its parent's last one before it was made
    expect(program.operations.at(-1)!.after).toEqual([program.tasks[1]!.startedAfter])
  })

  test('another process id is a process with a copy', async () => {
    const program = await programOf(new Recorder().touch(7, 7, A).fork(7, 7, 8).touch(8, 8, A, 7).touch(7, 7, A, 7).text)
    expect(program.processes.map(({ pid, parent }) => [pid, parent])).toEqual([
      [7, -1],
      [8, 0],
    ])
    const fork = program.operations.find(({ kind }) => kind === 'fork')!
    expect(program.spaces[fork.child]).toMatchObject({ parent: 0, madeBy: fork.index, process: 1 })
    expect(program.processes[1]!.forkedAt).toBe(fork.index)
    expect(program.operations.find(({ task }) => task === 1)!.after).toEqual([fork.index])
  })

  test('a vfork child shares until its exec', async () => {
    const text =
      '7 1.0 mmap(NULL, 4096, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = 0x7f0000000000\n7 2.0 vfork( <unfinished ...>\n' +
      '8 3.0 munmap(0x7f0000000000, 4096) = 0\n8 4.0 execve("/bin/x", [], 0x1) = 0\n7 5.0 <... vfork resumed>) = 8\n7 6.0 brk(NULL) = 0x5000\n8 7.0 brk(NULL) = 0x6000\n'
    const program = await programOf(text.replaceAll(/\.0 /g, '.000000 '))
    expect(program.operations.map((operation) => [operation.kind, operation.space, operation.last])).toEqual([
      ['mmap', 0, false],
      ['munmap', 0, false],
      ['exec', 0, false],
      ['brk', 0, false],
      ['brk', 1, false],
    ])
    expect(program.processes).toHaveLength(2)
  })

  test('strace: flags tell, and the child may come before its parent returns', async () => {
    const text =
      '7 1.000000 clone3({flags=CLONE_VM|CLONE_THREAD, stack=0x1} <unfinished ...>\n8 1.000001 brk(NULL) = 0x5000\n' +
      '7 1.000002 <... clone3 resumed> => {parent_tid=[8]}, 88) = 8\n7 1.000003 clone(child_stack=NULL, flags=CLONE_CHILD_SETTID|SIGCHLD) = 9\n9 1.000004 brk(NULL) = 0x5000\n'
    const program = await programOf(text)
    expect(program.tasks.map(({ tid, process }) => [tid, process])).toEqual([
      [7, 0],
      [8, 0],
      [9, 1],
    ])
  })

  test('the shipped recordings', async () => {
    const threads = await buildProgram(await openRecording(example('threads.tracepoints.perf-script.gz')))
    expect([threads.processes.length, threads.tasks.length]).toEqual([1, 5])
    const redis = await buildProgram(await openRecording(example('redis.tracepoints.perf-script.gz')))
    expect(redis.processes.map(({ pid, parent }) => [pid, parent])).toEqual([
      [7825, -1],
      [7835, 0],
    ])
    const gcc = await buildProgram(await openRecording(example('gcc.strace')))
    expect(gcc.processes.map(({ pid, parent }) => [pid, parent])).toEqual([
      [7696, -1],
      [7697, 0],
      [7698, 0],
    ])
    expect(summarizeProgram(threads)).toMatchObject({ byKind: { touch: 6547, munmap: 161, mprotect: 87, madvise: 84, exit: 5 }, denied: 0 })
    for (const program of [threads, redis, gcc]) expect(program.report).toMatchObject({ missedMappings: 0, missedUnmappings: 0, denied: 0 })
  })
})

describe('order across tasks', () => {
  const two = (): Recorder => new Recorder().touch(7, 7, A - 0x1000).fork(7, 7, 8)
  const edges = async (recorder: Recorder): Promise<string[]> => {
    const program = await programOf(recorder.text)
    return program.operations.flatMap((operation) =>
      operation.after.map((index) => `${short(program.operations[index]!)} -> ${short(operation)}`),
    )
  }

  test('a touch comes behind the mmap of another task, once', async () => {
    const recorder = two()
      .call(7, 7, 'mmap', [0, 0x4000, ...RW], A)
      .touch(7, 8, A)
      .touch(7, 8, A + 0x1000)
    expect(await edges(recorder)).toEqual([`mmap ${A.toString(16)}+4000 -> touch ${A.toString(16)}`])
  })

  test('a munmap comes behind the touches of others', async () => {
    const recorder = two()
      .call(7, 7, 'mmap', [0, 0x4000, ...RW], A)
      .touch(7, 8, A)
      .touch(7, 8, A + 0x1000)
      .call(7, 7, 'munmap', [A, 0x4000], 0)
    expect((await edges(recorder)).at(-1)).toBe(`touch ${(A + 0x1000).toString(16)} -> munmap ${A.toString(16)}+4000`)
  })

  test('a place that is mapped again was unmapped before, though the munmap returns later', async () => {
    const recorder = two().call(7, 7, 'mmap', [0, 0x1000, ...RW], A)
    recorder
      .enter(7, 7, 'munmap', A, 0x1000)
      .call(7, 8, 'mmap', [0, 0x1000, ...RW], A)
      .leave(7, 7, 'munmap', 0)
    const program = await programOf(recorder.text)
    expect(program.operations.slice(-2).map(({ kind }) => kind)).toEqual(['munmap', 'mmap'])
    expect(program.operations.at(-1)!.after).toContain(program.operations.at(-2)!.index)
    expect(program.report).toMatchObject({ racingPairs: 0, missedUnmappings: 0 })
  })

  test('a write needs the mprotect that is still under way', async () => {
    const recorder = two().call(7, 7, 'mmap', [0, 0x1000, 0, 0x22, -1, 0], A)
    recorder.enter(7, 7, 'mprotect', A, 0x1000, 3).touch(7, 8, A).leave(7, 7, 'mprotect', 0)
    const program = await programOf(recorder.text)
    expect(program.operations.slice(-2).map(({ kind, denied }) => [kind, denied])).toEqual([
      ['mprotect', false],
      ['touch', false],
    ])
    expect(program.report.racingPairs).toBe(0)
  })

  test('a call that succeeds only on mapped memory came before the munmap, though it returns later', async () => {
    const recorder = two().call(7, 7, 'mmap', [0, 0x1000, ...RW], A)
    recorder.enter(7, 8, 'mprotect', A, 0x1000, 1).call(7, 7, 'munmap', [A, 0x1000], 0).leave(7, 8, 'mprotect', 0)
    const program = await programOf(recorder.text)
    expect(program.operations.slice(-2).map(({ kind }) => kind)).toEqual(['mprotect', 'munmap'])
    expect(program.operations.at(-1)!.after).toEqual([program.operations.length - 2])
    expect(program.report).toMatchObject({ missedMappings: 0, racingPairs: 0 })
  })

  test('a touch beside MADV_DONTNEED races with it, and only with it', async () => {
    const recorder = two().call(7, 7, 'mmap', [0, 0x2000, ...RW], A)
    recorder
      .enter(7, 7, 'madvise', A, 0x1000, 4)
      .touch(7, 8, A)
      .touch(7, 8, A + 0x1000)
      .leave(7, 7, 'madvise', 0)
    const program = await programOf(recorder.text)
    const [inside, , advice] = program.operations.slice(-3)
    expect(advice!.kind).toBe('madvise')
    expect(advice!.races).toEqual([inside!.index])
    expect(inside!.races).toEqual([advice!.index])
    expect(program.report.racingPairs).toBe(1)
  })

  test('who waits for mmap_lock does not race with its holder', async () => {
    const lock = (recorder: Recorder, tid: number, what: string): Recorder =>
      recorder.say(7, tid, `mmap_lock:mmap_lock_${what}`, 'mm=0xffff1 memcg_id=1 write=true success=true')
    const recorder = two().call(7, 7, 'mmap', [0, 0x1000, ...RW], A)
    recorder.enter(7, 7, 'mprotect', A, 0x1000, 1).enter(7, 8, 'mprotect', A, 0x1000, 3)
    for (const tid of [7, 8]) lock(lock(recorder, tid, 'acquire_returned'), tid, 'released')
    recorder.leave(7, 7, 'mprotect', 0).leave(7, 8, 'mprotect', 0)
    const program = await programOf(recorder.text)
    expect(program.report.racingPairs).toBe(0)
    expect(program.operations.at(-1)!.after).toEqual([program.operations.length - 2])
  })
})

describe('what the recording does not have', () => {
  test('exec: image, heap, stack and vdso are regions of their own', async () => {
    const image = 0x555555554000
    const stack = 0x7ffffffdd000
    const recorder = new Recorder().exec(7)
    recorder
      .touch(7, 7, image, 0x14)
      .touch(7, 7, image + 0x3000, 4)
      .touch(7, 7, image + 0x5000, 0x14)
      .touch(7, 7, image + 0x9000, 6)
    recorder
      .call(7, 7, 'brk', [0], image + 0x20000)
      .touch(7, 7, stack, 6)
      .touch(7, 7, stack - 0x3000, 6)
      .touch(7, 7, 0x7fffffffe000, 0x14)
    const program = await programOf(recorder.text)
    const inferred = program.operations.filter((operation) => operation.inferred)
    expect(inferred.map(({ address, length, prot }) => [address.toString(16), length / 4096, prot])).toEqual([
      [image.toString(16), 6, 5],
      [(image + 0x9000).toString(16), 1, 3],
      [(stack - 0x3000).toString(16), 4, 3],
      ['7fffffffe000', 1, 5],
    ])
    expect(program.report).toMatchObject({ inferredMappings: 4, inferredPages: 12 })
    expect(program.spaces.at(-1)!.heapStart).toBe(image + 0x20000)
    // they come behind the exec and before everything else of the new program
    expect(program.operations.map(({ kind }) => kind).slice(0, 6)).toEqual(['exec', 'mmap', 'mmap', 'mmap', 'mmap', 'touch'])
    expect(describeProgram(program).join('\n')).toContain('inferred 4 mappings, 12 pages')
  })

  test('the loader writes before the exec event is printed', async () => {
    const recorder = new Recorder().touch(7, 7, A)
    recorder
      .say(7, 7, 'exceptions:page_fault_kernel', 'address=0x555500000000 ip=elf_load error_code=0x2')
      .exec(7)
      .touch(7, 7, 0x555500001000)
    const program = await programOf(recorder.text)
    expect(program.operations.filter(({ kind }) => kind === 'touch').map(({ address, space }) => [address, space])).toEqual([
      [A, 0],
      [0x555500000000, 1],
      [0x555500001000, 1],
    ])
  })

  test('an inferred mapping does not reach over recorded ones', async () => {
    const recorder = new Recorder()
      .exec(7)
      .touch(7, 7, A)
      .touch(7, 7, A + 0x5000)
      .call(7, 7, 'mmap', [0, 0x1000, ...RW], A + 0x2000)
    const program = await programOf(recorder.text)
    expect(program.operations.filter(({ inferred }) => inferred).map(short)).toEqual([
      `mmap ${A.toString(16)}+1000 inferred`,
      `mmap ${(A + 0x5000).toString(16)}+1000 inferred`,
    ])
  })

  test('a page that a forked child finds was there before the fork', async () => {
    const program = await programOf(
      new Recorder()
        .touch(7, 7, A)
        .fork(7, 7, 8)
        .touch(8, 8, A + 0x1000, 4).text,
    )
    expect(program.operations.map((operation) => `${operation.space} ${short(operation)}`)).toEqual([
      `0 mmap ${A.toString(16)}+1000 inferred`,
      `0 mmap ${(A + 0x1000).toString(16)}+1000 inferred`,
      `0 touch ${A.toString(16)}`,
      '0 fork 0+0',
      `1 touch ${(A + 0x1000).toString(16)}`,
    ])
  })

  test('mprotect, munmap and madvise act on what must have been there', async () => {
    const program = await programOf(new Recorder().call(7, 7, 'mprotect', [A, 0x3000, 1], 0).text)
    expect(program.operations.map(short)).toEqual([`mmap ${A.toString(16)}+3000 inferred`, `mprotect ${A.toString(16)}+3000`])
  })

  test('without losses a touch of unmapped memory is a SIGSEGV; with losses it is a lost mmap', async () => {
    const text = new Recorder()
      .call(7, 7, 'mmap', [0, 0x1000, ...RW], A)
      .call(7, 7, 'munmap', [A, 0x1000], 0)
      .touch(7, 7, A).text
    expect((await programOf(text)).operations.map(short).at(-1)).toBe(`touch ${A.toString(16)} denied`)
    const lossy = await programOf(`${text}LOST 3 events!\n`)
    expect(lossy.operations.map(short).slice(-2)).toEqual([`mmap ${A.toString(16)}+1000 inferred`, `touch ${A.toString(16)}`])
    expect(lossy.report.missedMappings).toBe(1)
  })

  test('a write to what is recorded as read-only', async () => {
    const program = await programOf(new Recorder().call(7, 7, 'mmap', [0, 0x1000, 1, 0x22, -1, 0], A).touch(7, 7, A).text)
    expect(program.operations.at(-1)!.denied).toBe(true)
  })

  test('halves of calls are counted; a missing kind of return is not needed', async () => {
    const recorder = new Recorder().leave(7, 7, 'mmap', A).call(7, 7, 'mmap', [0, 0x1000, ...RW], A)
    recorder.enter(7, 7, 'madvise', A, 0x1000, 4).touch(7, 7, A).enter(7, 7, 'munmap', A, 0x1000)
    const program = await programOf(recorder.text)
    expect(program.report).toMatchObject({ endsOnly: 1, beginningsOnly: 1, unknownResults: 1 })
    expect(program.operations.map(({ kind }) => kind)).toEqual(['mmap', 'madvise', 'touch'])
  })

  test('an empty recording is refused', async () => {
    const text = new Recorder().say(7, 7, 'tlb:tlb_flush', 'pages:1 reason:x (3)').text
    await expect(recordingOf(text).then(buildProgram)).rejects.toMatchObject({ name: 'TraceError' })
  })
})

test('failed calls are kept; those that must fail again are marked', async () => {
  const recorder = new Recorder().call(7, 7, 'mmap', [0, 0x1000, ...RW], A).call(7, 7, 'munmap', [A, 0x1000], 0)
  recorder
    .call(7, 7, 'mprotect', [A, 0x1000, 1], -12)
    .call(7, 7, 'munmap', [A + 1, 0x1000], -22)
    .call(7, 7, 'mmap', [0, 2 ** 46, ...RW], -12)
  const program = await programOf(recorder.text)
  expect(program.operations.slice(-3).map(({ kind, errno, repeatable }) => [kind, errno, repeatable])).toEqual([
    ['mprotect', 12, true],
    ['munmap', 22, true],
    ['mmap', 12, false],
  ])
})

test('files are told apart as well as the recording allows', async () => {
  const mmap = (args: string): string => `7 1.000000 mmap(${args}) = 0x7f0000000000 <0.000001>\n`
  const guessed = await programOf(
    mmap('NULL, 4096, PROT_READ, MAP_PRIVATE, 3, 0') +
      mmap('0x7f0000000000, 4096, PROT_READ, MAP_PRIVATE|MAP_FIXED, 3, 0x1000') +
      mmap('NULL, 4096, PROT_READ, MAP_PRIVATE, 3, 0'),
  )
  expect(guessed.files.map(({ identity, size }) => [identity, size])).toEqual([
    ['guess', 8192],
    ['guess', 4096],
  ])
  const named = await programOf(
    mmap('NULL, 4096, PROT_READ, MAP_PRIVATE, 3</lib/a.so>, 0') + mmap('NULL, 4096, PROT_READ, MAP_PRIVATE, 4</lib/a.so>, 0'),
  )
  expect(named.files).toEqual([{ index: 0, name: '/lib/a.so', identity: 'path', size: 4096 }])
  const opened = await programOf(
    `7 1.000000 openat(AT_FDCWD, "/lib/a,b.so", O_RDONLY|O_CLOEXEC) = 3\n${mmap('NULL, 4096, PROT_READ, MAP_PRIVATE, 3, 0')}7 1.000000 close(3) = 0\n` +
      `7 1.000000 openat(AT_FDCWD, "/lib/c.so", O_RDONLY) = 3\n${mmap('NULL, 4096, PROT_READ, MAP_PRIVATE, 3, 0')}`,
  )
  expect(opened.files.map(({ name }) => name)).toEqual(['/lib/a,b.so', '/lib/c.so'])
})

test('the address windows of a program', async () => {
  const program = await programOf(
    new Recorder()
      .touch(7, 7, A)
      .touch(7, 7, 0x1000)
      .touch(7, 7, 2 ** 39).text,
  )
  expect(slotsUsed(program)).toEqual([0, 1, 254])
  expect(slotsUsed(program, 16)).toEqual([0, 15])
})
