// One line of strace: who, when, what, with which result.
import { describe, expect, test } from 'vitest'
import { readNumber } from '../../src/trace/flags.ts'
import { readStracePrefix, readStraceResult, readStraceStatement, splitArguments } from '../../src/trace/strace-line.ts'

describe('beginnings', () => {
  const forms: [string, object][] = [
    ['7696  1795244680.224235 brk(', { pid: 7696, time: 1795244680224235, clock: 'microseconds' }],
    ['[pid  7696] 1795244680.224235 brk(', { pid: 7696, time: 1795244680224235 }],
    ['1795244680.224235 brk(', { pid: -1, time: 1795244680224235 }],
    ['7696  1795244680 brk(', { pid: 7696, time: 1795244680000000, clock: 'seconds' }],
    ['7696  01:02:03.500000 brk(', { pid: 7696, time: 3723500000, clock: 'microseconds' }],
    ['01:02:03 brk(', { pid: -1, time: 3723000000, clock: 'seconds' }],
    ['7696       0.000123 brk(', { pid: 7696, time: 123, clock: 'relative' }],
    ['     0.000123 brk(', { pid: -1, time: 123, clock: 'relative' }],
    ['7696 01:02:03 (+     0.000045) brk(', { pid: 7696, clock: 'seconds' }],
    ['7696<gcc> 1795244680.224235 brk(', { pid: 7696, comm: 'gcc' }],
    ['[pid 7696<my prog>] brk(', { pid: 7696, comm: 'my prog', clock: 'none' }],
    ['7696 01:02:03 [  12] [00007f3eea0dd000] brk(', { pid: 7696 }],
    ['brk(', { pid: -1, clock: 'none' }],
  ]
  test.each(forms)('%s', (line, expected) => {
    const prefix = readStracePrefix(line)
    expect(prefix).toMatchObject(expected)
    expect(line.slice(prefix.at)).toBe('brk(')
  })
})

describe('statements', () => {
  const say = (line: string) => readStraceStatement(line, 0)
  test('a call, its arguments and its result', () => {
    expect(say('munmap(0x7f00, 4096) = 0 <0.000066>')).toEqual({
      kind: 'call',
      name: 'munmap',
      args: '0x7f00, 4096',
      tail: ' = 0 <0.000066>',
    })
  })
  test('strings and nested brackets do not end it', () => {
    const line = String.raw`execve("/bin/a(b", ["x)", "y\"z"], {a=[1, (2)]} /* 3) */) = 0`
    expect(say(line)).toMatchObject({ kind: 'call', tail: ' = 0' })
  })
  test('its halves', () => {
    expect(say('mmap(NULL, 8192, PROT_NONE <unfinished ...>')).toMatchObject({
      kind: 'begin',
      name: 'mmap',
      args: 'NULL, 8192, PROT_NONE ',
    })
    expect(say('<... mmap resumed>) = 0x7f00 <0.1>')).toMatchObject({ kind: 'end', name: 'mmap', args: '' })
    expect(say('<... clone3 resumed> => {parent_tid=[7659]}, 88) = 7659')).toMatchObject({ kind: 'end', tail: ' = 7659' })
    expect(say('exit_group(0 <unfinished ...>) = ?')).toMatchObject({ kind: 'call', args: '0 ' })
  })
  test('exits and signals, but not a diff', () => {
    expect(say('+++ exited with 0 +++')).toMatchObject({ kind: 'exited' })
    expect(say('+++ killed by SIGSEGV (core dumped) +++')).toMatchObject({ kind: 'exited' })
    expect(say('+++ superseded by execve in pid 77 +++')).toEqual({ kind: 'superseded', pid: 77 })
    expect(say('--- SIGCHLD {si_signo=SIGCHLD} ---')).toMatchObject({ kind: 'signal' })
    expect(say('--- a/file.c')).toBeUndefined()
    expect(say('+++ b/file.c')).toBeUndefined()
  })
  test('a line full of brackets takes no time', () => {
    const start = performance.now()
    for (const piece of ['(', '1<', '"', '/*', 'a(', ' ']) say(`f(${piece.repeat(60_000)}`)
    expect(performance.now() - start).toBeLessThan(2000)
  })
})

test.each<[string, object | undefined]>([
  [' = 0 <0.000066>', { value: 0, error: '', duration: 66 }],
  ['       = 0x3a7e7000', { value: 0x3a7e7000 }],
  [' = -1 ENOMEM (Cannot allocate memory) <0.000001>', { value: Number.NaN, error: 'ENOMEM', duration: 1 }],
  [' = ?', { value: Number.NaN, error: '' }],
  [' = ? ERESTARTSYS (To be restarted if SA_RESTART is set)', { error: 'ERESTARTSYS' }],
  [' = 3</usr/lib/x.so> <0.000012>', { value: 3, duration: 12 }],
  [" = 12 /* 7697 in strace's PID NS */", { value: 12 }],
  [' = -1 (errno 12)', { error: '?' }],
  [' = 0 (Timeout)', { value: 0 }],
  [' x', undefined],
  [' = 0x7f12', { value: 0x7f12 }],
])('result%s', (text, expected) => {
  const result = readStraceResult(text)
  if (expected === undefined) expect(result).toBeUndefined()
  else expect(result).toMatchObject(expected)
})

test.each([
  ['PROT_READ|PROT_WRITE', 3],
  ['MAP_PRIVATE|MAP_FIXED|MAP_DENYWRITE', 0x812],
  ['0x3 /* PROT_READ|PROT_WRITE */', 3],
  ['MAP_PRIVATE|MAP_HUGETLB|21<<MAP_HUGE_SHIFT', 0x40002 + 21 * 2 ** 26],
  ['3</usr/lib/x.so>', 3],
  ['AT_FDCWD', -100],
  ['NULL', 0],
  ['-1', -1],
  ['0xffffffffffffffff', -1],
  ['0xfffffffffffffff4', -12],
  ['0x7fff5049db99', 0x7fff5049db99],
  ['0600', 0o600],
  ['MAP_PRIVATE|0x400', 0x402],
  ['{x}', Number.NaN],
  ['', Number.NaN],
])('the number %j', (text, value) => {
  expect(readNumber(text)).toBe(value)
})

test('arguments', () => {
  expect(splitArguments('NULL, 8192, 3</a,b>, {x=1, y=[2, 3]}, "a, b", 0')).toEqual([
    'NULL',
    '8192',
    '3</a,b>',
    '{x=1, y=[2, 3]}',
    '"a, b"',
    '0',
  ])
  expect(splitArguments('')).toEqual([])
})
