// What a difference looks like when it is shown to a person: the operations with both answers side by
// side, the mappings where they part, and the list in a form that can be fed to the driver again.

import { agree, type Canonical } from './answer.ts'
import { encode, NULL, type Operation } from './operation.ts'

const PROT = ['---', 'r--', '-w-', 'rw-', '--x', 'r-x', '-wx', 'rwx']
const ADVICE: Record<number, string> = { 4: 'DONTNEED', 8: 'FREE', 22: 'POPULATE_READ', 23: 'POPULATE_WRITE' }
const MAP_BITS: [number, string][] = [
  [0x10, 'FIXED'],
  [0x20, 'ANONYMOUS'],
  [0x4000, 'NORESERVE'],
  [0x100000, 'FIXED_NOREPLACE'],
]
const MAP_TYPES = ['-', 'SHARED', 'PRIVATE', 'SHARED_VALIDATE']
const MREMAP_BITS: [number, string][] = [
  [1, 'MAYMOVE'],
  [2, 'FIXED'],
  [4, 'DONTUNMAP'],
]
const ERRNO: Record<number, string> = {
  1: 'EPERM',
  9: 'EBADF',
  12: 'ENOMEM',
  13: 'EACCES',
  14: 'EFAULT',
  17: 'EEXIST',
  22: 'EINVAL',
  75: 'EOVERFLOW',
  95: 'EOPNOTSUPP',
}

function names(value: number, bits: readonly [number, string][]): string[] {
  return bits.filter(([bit]) => (value & bit) !== 0).map(([, name]) => name)
}

/** Bytes as pages, `12+100` for page 12 and 100 bytes. */
function pages(bytes: number): string {
  if (bytes === NULL) return 'NULL'
  const page = Math.floor(bytes / 4096)
  return bytes % 4096 === 0 ? `${page}` : `${page}+${bytes % 4096}`
}

/** One operation as a reader writes it; addresses and lengths in pages of the region. */
export function describe(op: Operation): string {
  const who = `P${op.process}`
  switch (op.kind) {
    case 'mmap': {
      const flags = [MAP_TYPES[op.flags & 15] ?? '?', ...names(op.flags, MAP_BITS)].join('|')
      const file = op.file < 0 ? '' : ` file ${op.file}@${pages(op.offset)}`
      return `${who} mmap ${pages(op.address)} len ${pages(op.length)} ${PROT[op.prot]} ${flags}${file}`
    }
    case 'munmap':
      return `${who} munmap ${pages(op.address)} len ${pages(op.length)}`
    case 'mprotect':
      return `${who} mprotect ${pages(op.address)} len ${pages(op.length)} ${PROT[op.prot]}`
    case 'madvise':
      return `${who} madvise ${pages(op.address)} len ${pages(op.length)} ${ADVICE[op.advice] ?? op.advice}`
    case 'mremap': {
      const flags = names(op.flags, MREMAP_BITS).join('|') || String(op.flags)
      return `${who} mremap ${pages(op.address)} len ${pages(op.oldLength)} -> ${pages(op.newLength)} ${flags} at ${pages(op.newAddress)}`
    }
    case 'brk':
      return `${who} brk ${pages(op.address)}`
    case 'fork':
      return `${who} fork -> P${op.child}`
    case 'exit':
      return `${who} exit`
    case 'write':
      return `${who} write ${pages(op.address)} stamp ${op.stamp}`
    case 'read':
      return `${who} read ${pages(op.address)}`
  }
}

function result(op: Operation, answer: Canonical | undefined): string {
  if (answer === undefined) return '(no answer)'
  const value = Number(answer.result)
  if (value < 0) return ERRNO[-value] ?? answer.result
  const address = op.kind === 'mmap' || op.kind === 'mremap' || op.kind === 'brk'
  return address && !Number.isNaN(value) ? `page ${pages(value)}` : answer.result
}

function column(text: string, width: number): string {
  return text.length >= width ? text : text.padEnd(width)
}

function mapsDifference(names: readonly [string, string], left: Canonical, right: Canonical): string[] {
  const a = left.maps === '' ? [] : left.maps.split(' ')
  const b = right.maps === '' ? [] : right.maps.split(' ')
  const rows = [...new Set([...a, ...b])].sort((x, y) => Number.parseInt(x, 10) - Number.parseInt(y, 10))
  const head = `    ${column('start,end,rights,offset,object', 34)} ${column(names[0], 10)} ${names[1]}`
  const mark = (list: string[], row: string): string => (list.includes(row) ? 'yes' : '-')
  return [head, ...rows.map((row) => `    ${column(row, 34)} ${column(mark(a, row), 10)} ${mark(b, row)}`)]
}

/** The whole report on one list. */
export function report(
  list: readonly Operation[],
  subjects: readonly [string, string],
  left: readonly Canonical[],
  right: readonly Canonical[],
): string {
  const described = list.map(describe)
  const width = Math.max(...described.map((text) => text.length), 20) + 2
  const lines = [`  ${column('operation (pages of the region)', width)} ${column(subjects[0], 24)} ${subjects[1]}`]
  for (const [index, op] of list.entries()) {
    const a = left[index]
    const b = right[index]
    const same = a !== undefined && b !== undefined && agree(a, b)
    lines.push(`${same ? ' ' : '>'} ${column(described[index] ?? '', width)} ${column(result(op, a), 24)} ${result(op, b)}`)
    if (same) continue
    if (a !== undefined && b !== undefined && a.maps !== b.maps) {
      const before = index === 0 ? '' : (left[index - 1]?.maps ?? '')
      lines.push(`    before: ${before}`, ...mapsDifference(subjects, a, b))
    }
    break
  }
  return [...lines, '', 'as driver input:', ...list.map(encode)].join('\n')
}
