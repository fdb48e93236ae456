// The fields of a perf script line, in every layout that -F gives.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createPerfLine, readPerfLine } from '../../src/trace/perf-line.ts'

const TEXT = 'address=0x7fc9d0e05000 ip=0x55634f54f3c8 error_code=0x6'

describe('layouts of -F', () => {
  const layouts: [string, string, object][] = [
    [
      'default',
      '         threads  4927 [000]  1498.906797:           exceptions:page_fault_user: ',
      { task: 4927, process: -1, cpu: 0, time: 1498906797 },
    ],
    [
      'comm,pid,tid,cpu,time',
      '         threads  4925/4927  [001]  1498.906797:   exceptions:page_fault_user: ',
      { task: 4927, process: 4925, cpu: 1 },
    ],
    ['no comm', ' 4925/4927   1498.906797:           exceptions:page_fault_user: ', { task: 4927, process: 4925, cpu: -1, comm: '' }],
    ['no time', '         threads  4927 [000]           exceptions:page_fault_user: ', { task: 4927, cpu: 0, time: Number.NaN }],
    ['only tid', ' 4927           exceptions:page_fault_user: ', { task: 4927, cpu: -1, time: Number.NaN }],
    [
      'period',
      '         threads  4927 [000]  1498.906797:          1           exceptions:page_fault_user: ',
      { task: 4927, time: 1498906797 },
    ],
    [
      'misc',
      '         threads  4925/4927  [000] K      1498.906797:           exceptions:page_fault_user: ',
      { task: 4927, process: 4925, cpu: 0 },
    ],
    ['nanoseconds', '         threads  4927 [000]  1498.906797335:           exceptions:page_fault_user: ', { time: 1498906797.335 }],
    ['gone task', '              :-1    -1 [000]  1498.906797:           exceptions:page_fault_user: ', { task: -1 }],
  ]
  test.each(layouts)('%s', (_name, head, expected) => {
    const line = createPerfLine()
    expect(readPerfLine(head + TEXT, line)).toBe(true)
    expect(line).toMatchObject({ event: 'exceptions:page_fault_user', ...expected })
    expect((head + TEXT).slice(line.textAt)).toBe(TEXT)
  })
})

test.each([
  'a b',
  'Web Content',
  'kworker/u8:1',
  '12',
  '7: x',
  'a 12',
  '1.5: b',
  '[001]',
  'a/b 3/4',
  '(sd-pam)',
  'x: y: z',
  'é',
  '3.000000: q',
])('a command called %j', (comm) => {
  const line = createPerfLine()
  expect(readPerfLine(`${comm.padStart(16)}  4925/4927  [000]  1498.906797:  exceptions:page_fault_user: ${TEXT}`, line)).toBe(true)
  expect(line).toMatchObject({ comm: comm.trim(), task: 4927, process: 4925, event: 'exceptions:page_fault_user' })
})

test('any command name', () => {
  const names = fc.string({ minLength: 1, maxLength: 15 }).filter((name) => /^[\x21-\x7e][\x20-\x7e]*$/.test(name) && name.trim() === name)
  fc.assert(
    fc.property(names, fc.nat(99999), (comm, pid) => {
      const line = createPerfLine()
      expect(readPerfLine(`${comm.padStart(16)} ${pid}/${pid} [003] 77.000001: tlb:tlb_flush: pages:1 reason:x (3)`, line)).toBe(true)
      expect(line).toMatchObject({ comm, task: pid, cpu: 3, time: 77000001, event: 'tlb:tlb_flush' })
    }),
  )
})

test('what is no event line', () => {
  const line = createPerfLine()
  for (const text of [
    '',
    '   ',
    'hello',
    '# captured on    : Sat Nov 21',
    '\tffffffff821f31c0 exc_page_fault+0x2f0 ([kernel.kallsyms])',
    'a: b: c: d',
  ]) {
    expect(readPerfLine(text, line)).toBe(false)
  }
})

test('a line without end takes no time', () => {
  const line = createPerfLine()
  const start = performance.now()
  for (const piece of [' ', '1 ', ': ', '1.000000: ', '[0] ', 'a']) readPerfLine(piece.repeat(100_000), line)
  expect(performance.now() - start).toBeLessThan(200)
})
