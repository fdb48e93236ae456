// The sites of the real kernel: that the ones people would name are found with the change they would make, and that every
// variant of every site is kernel code that the stepped build takes.
import { fileURLToPath } from 'node:url'
import { parseSync } from 'oxc-parser'
import { describe, expect, it } from 'vitest'
import { DECIDED } from '../../../src/check/ablate/direction.ts'
import { type AblationSite, ablate, findSites, type Operator, readKernelFiles } from '../../../src/check/ablate/index.ts'
import { ACROSS, PAIRS } from '../../../src/check/ablate/pairs.ts'
import { PLAIN } from '../../../src/check/ablate/recheck.ts'
import { stepVariant } from '../../../src/check/ablate/variant-tree.ts'
import { readBuiltKernel } from '../../../src/compile/build.ts'

const files = readKernelFiles(fileURLToPath(new URL('../../../src/kernel', import.meta.url)))
const sites = findSites(files)

/** The site of `operator` in `file` whose source and function are these; there must be one. */
function find(file: string, fn: string, operator: Operator, text: string): AblationSite {
  const found = sites.filter((site) => site.file === file && site.function === fn && site.operator === operator && site.text === text)
  expect(
    found.map(({ id }) => id),
    `${operator} of '${text}' in ${fn}`,
  ).toHaveLength(1)
  return found[0] as AblationSite
}

/** The lines that a site changes, as they are afterwards. */
function changedLines(site: AblationSite, variant = 0): string[] {
  return Object.entries(ablate(files, site, variant)).flatMap(([path, text]) => {
    const before = (files[path] as string).split('\n')
    const after = text.split('\n')
    return after.filter((line, i) => line !== before[i]).map((line) => line.trim())
  })
}

describe('sites', () => {
  it('are found in every room that synchronises', () => {
    const count = (operator: Operator): number => sites.filter((site) => site.operator === operator).length
    const least: Record<Operator, number> = {
      ...{ lock: 50, rcu: 2, irq: 6, recheck: 100, flush: 15, ipi: 2, wait: 15, wake: 7 },
      ...{ exclusion: 25, publish: 60, atomicity: 45, ordering: 15 },
    }
    for (const [operator, n] of Object.entries(least)) expect(count(operator as Operator), operator).toBeGreaterThanOrEqual(n)
    for (const room of ['pagetable', 'fault', 'design', 'sync', 'vma', 'memory', 'syscall'])
      expect(
        sites.some(({ file }) => file.startsWith(`${room}/`)),
        room,
      ).toBe(true)
    expect(new Set(sites.map(({ id }) => id)).size).toBe(sites.length)
    for (const site of sites) {
      expect(site.id.startsWith(`${site.file}:${site.line}:${site.operator}`)).toBe(true)
      const line = (files[site.file] as string).split('\n')[site.line - 1] as string
      expect(line.slice(site.column - 1).startsWith(site.text.slice(0, 8)), site.id).toBe(true)
    }
  })

  it('are each accepted by the stepped build in every variant', () => {
    const { summary } = readBuiltKernel()
    let variants = 0
    for (const site of sites) {
      expect(site.variants.length > 0, site.id).toBe(site.status !== 'unpaired')
      site.variants.forEach((_, i) => {
        const changed = ablate(files, site, i)
        for (const [path, text] of Object.entries(changed)) {
          expect(text, site.id).not.toBe(files[path])
          if (site.operator !== 'atomicity') expect(text.split('\n').length, site.id).toBe(files[path]?.split('\n').length)
        }
        for (const { path, stepped } of stepVariant(changed, summary, 1).modules) {
          // `yield*` outside a generator is a syntax error in a module, and so is a name that is declared twice.
          const { errors, program } = parseSync(`${path}.js`, stepped.code, { sourceType: 'module', lang: 'js' })
          expect(errors, site.id).toEqual([])
          const imported = program.body.flatMap((node) => (node.type === 'ImportDeclaration' ? node.specifiers : []))
          const names = imported.map(({ local }) => local.name)
          expect(new Set(names).size, site.id).toBe(names.length)
        }
        variants++
      })
    }
    expect(variants).toBeGreaterThan(400)
  })

  it('say why they cannot be changed or need no check', () => {
    for (const site of sites) {
      expect(site.status === 'ablatable', site.id).toBe(site.reason === '')
      expect(site.status === 'undecided under SC', site.id).toBe(site.operator === 'ordering')
    }
    const unpaired = sites.filter(({ status }) => status === 'unpaired')
    // Functions that return with the lock held: their callers are sites.
    const held = unpaired.map((site) => `${site.file} ${site.function} ${site.text}`)
    expect(held).toContain('design/vma-lock.ts pteMapLock pteOffsetMapLock(pmd, vpn)')
    expect(held.length).toBeLessThan(12)
    expect(() => ablate(files, unpaired[0] as AblationSite)).toThrow(/no release of it/)
  })

  it('tables that name functions and checks still meet them', () => {
    const texts = new Set(sites.map((site) => `${site.file}#${site.function}: ${site.text}`))
    for (const key of [...Object.keys(PLAIN), ...Object.keys(DECIDED)]) expect(texts.has(key), key).toBe(true)
    for (const { file, function: fn, acquire, also } of ACROSS) {
      const site = sites.find(
        (candidate) => candidate.file === file && candidate.function === fn && candidate.text.startsWith(`${acquire}(`),
      )
      expect(site?.status, `${fn} ${acquire}`).toBe('ablatable')
      const changed = Object.keys(ablate(files, site as AblationSite))
      for (const other of also) expect(changed).toContain(other.file)
    }
    const acquires = new Set(PAIRS.map(({ acquire }) => acquire))
    for (const unused of ['downWriteTrylock', 'srcuReadLock']) acquires.delete(unused)
    for (const acquire of acquires)
      expect(
        sites.some(({ text }) => text.startsWith(`${acquire}(`)),
        acquire,
      ).toBe(true)
  })
})

describe('a named site', () => {
  it.each([
    [
      'pagetable/pte-offset-map.ts',
      'pteOffsetMapLock',
      'recheck',
      'pmdpGetLockless(pmd) === pmdval',
      ['if ((pmdpGetLockless(pmd) === pmdval || true)) {'],
    ],
    ['design/vma-lock.ts', 'vmaStartRead', 'recheck', 'owner !== mm', ['if ((owner !== mm && false)) {']],
    [
      'design/vma-lock.ts',
      'vmaStartRead',
      'recheck',
      'smpLoadAcquire(mm + Mm.mmLockSeq) === load(vma + Vma.lockSeq)',
      ['if ((smpLoadAcquire(mm + Mm.mmLockSeq) === load(vma + Vma.lockSeq) && false)) {'],
    ],
    ['sync/srcu.ts', 'driveSrcu', 'recheck', 'load(domain + Srcu.phase) === 0', ['if ((load(domain + Srcu.phase) === 0 && false)) {']],
    ['vma/maple-tree.ts', 'mtLoad', 'recheck', 'mteDeadNode(leaf)', ['if (!(mteDeadNode(leaf) && false)) return entry']],
    ['fault/anonymous.ts', 'installAnonPage', 'recheck', 'pteNone(ptepGet(ptep))', ['const mine = (pteNone(ptepGet(ptep)) || true)']],
    [
      'fault/copy-on-write.ts',
      'wpPageCopy',
      'recheck',
      '!ptePresent(now) || ptePfn(now) !== ptePfn(old) || (now & Pte.write) !== 0',
      ['if (((!ptePresent(now) || ptePfn(now) !== ptePfn(old) || (now & Pte.write) !== 0) && false)) {'],
    ],
    [
      'fault/copy-on-write.ts',
      'wpPageCopy',
      'recheck',
      'ptePresent(now)',
      ['if (!(ptePresent(now) || true) || ptePfn(now) !== ptePfn(old) || (now & Pte.write) !== 0) {'],
    ],
    ['pagetable/tlb-flush.ts', 'shootDown', 'wait', 'while (readContext(cpu) === context)', ['if (mode === Mode.user) {}']],
    ['pagetable/tlb-flush.ts', 'ipiAndWait', 'ipi', 'sendIpi(target)', ['const request = 0']],
    ['sync/rwsem.ts', 'upRead', 'wake', 'handOver(sem)', ['if (atomicAdd(sem + Rwsem.count, -1) === WAITERS) {}']],
    ['syscall/munmap.ts', 'detachRange', 'exclusion', 'design.vmaStartWrite(vma)', ['{}']],
    ['pagetable/levels.ts', 'upperPopulate', 'lock', 'spinLock(mm + Mm.pageTableLock)', ['{}', '{}']],
    ['sync/rcu.ts', 'driveGracePeriod', 'lock', 'spinTrylock(Global.rcuLock)', ['if (1 === 0) return', '{}']],
  ] as const)('%s %s: %s of %s', (file, fn, operator, text, lines) => {
    expect(changedLines(find(file, fn, operator, text))).toEqual(lines)
  })

  it('the lock of a table: the entry stays mapped', () => {
    const lines = changedLines(find('fault/anonymous.ts', 'doAnonymousPage', 'lock', 'design.pteMapLock(mm, vma, pmd, vpn)'))
    expect(lines.slice(1)).toEqual(['const ptep = pteOffsetMapRoNolock(pmd, vpn)', 'pteUnmap(ptep)'])
    expect(lines[0]).toContain("import { pteOffsetMapRoNolock } from '../pagetable/pte-offset-map.ts'; ")
  })

  it('a lock of mmap goes with its unlock on every path', () => {
    const site = find('syscall/munmap.ts', 'sysMunmap', 'lock', 'mmapWriteLock(mm)')
    expect(changedLines(site)).toEqual(['{}', '{}', '{}', '{}'])
    expect(ablate(files, site)['syscall/munmap.ts']).not.toMatch(/mmap(Read|Write)(Lock|Unlock|Downgrade)\(/)
  })

  it('a lock that is dropped in another file goes there too', () => {
    const site = find('design/mmap-lock.ts', 'faultUnderMmapLock', 'lock', 'mmapReadLock(mm)')
    expect(Object.keys(ablate(files, site)).sort()).toEqual(['design/mmap-lock.ts', 'design/speculative.ts', 'design/vma-lock.ts'])
  })

  it('irq-off and the lock are two sites', () => {
    const text = 'spinLockIrqsave(Global.zoneLock)'
    expect(changedLines(find('memory/page-alloc.ts', 'refillPcp', 'irq', text)).slice(1)).toEqual([
      'spinLock(Global.zoneLock)',
      'spinUnlock(Global.zoneLock)',
    ])
    expect(changedLines(find('memory/page-alloc.ts', 'refillPcp', 'lock', text)).slice(1)).toEqual(['irqSave()', 'irqRestore()'])
  })

  it('without its RCU section a reader passes quiescent states', () => {
    const site = find('pagetable/pte-offset-map.ts', 'pteOffsetMap', 'rcu', 'rcuReadLock()')
    expect(changedLines(site).slice(1)).toEqual([
      '{}',
      'const pmdval = ENTRY_READ === EntryRead.whole ? pmdpGetLockless(pmd) : pmdpGetIrqOff(pmd); setContext(Mode.kernel)',
      '{}',
      '{}',
    ])
  })

  it('under a condition where the section was entered under one', () => {
    const lines = changedLines(find('proc/smaps.ts', 'smapsTable', 'rcu', 'rcuReadLock()'))
    expect(lines).toContain('let next = nextPteTable(mm, from, end); if (how === SmapsWalk.rcu) setContext(Mode.kernel)')
  })

  it('a deferred node is freed at once', () => {
    const site = find('vma/maple-replace.ts', 'bury', 'wait', 'callRcu(node + MapleNode.rcuHead, RcuFunc.mapleNode)')
    expect(changedLines(site).at(-1)).toBe('mapleNodeFreeRcu(node + MapleNode.rcuHead)')
  })

  it('an atomic is made of two steps', () => {
    const lines = changedLines(find('sync/refcount.ts', 'refcountDecAndTest', 'atomicity', 'atomicAdd(p, -1)'))
    expect(lines).toContain('return atomicAddInTwoSteps(p, -1) === 0 ? 1 : 0')
    expect(lines.join('\n')).toContain('const found = readOnce(p); writeOnce(p, (found + delta) | 0); return (found + delta) | 0')
  })
})

describe('finding', () => {
  const machine = Object.fromEntries(
    Object.entries(files).filter(([path]) => path.startsWith('machine/') || path.startsWith('arch/') || path.startsWith('sync/')),
  )
  const of = (text: string): string[] =>
    findSites({ ...machine, 'sync/snippet.ts': text })
      .filter(({ file }) => file === 'sync/snippet.ts')
      .map(({ operator, text: its, status }) => `${operator} ${its} ${status}`)
  const head = `import { load, readOnce, relax } from '../machine/instructions.ts'; import { spinLock, spinUnlock } from './spinlock.ts'\n`

  it('a lock without unlock is not ablatable', () => {
    expect(of(`${head}export function f(p: number): void {\n  spinLock(p)\n}`)).toEqual(['lock spinLock(p) unpaired'])
    expect(of(`${head}export function f(p: number, q: number): void {\n  spinLock(p)\n  spinUnlock(q)\n}`)).toEqual([
      'lock spinLock(p) unpaired',
    ])
  })

  it('a test for nothing is a check only where the word was read before or a lock is held', () => {
    expect(of(`${head}export function f(p: number): number {\n  if (readOnce(p) === 0) return 0\n  return 1\n}`)).toEqual([])
    const locked = `${head}export function f(p: number): number {\n  spinLock(p)\n  const gone = readOnce(p + 1) === 0\n  spinUnlock(p)\n  if (gone) return 0\n  return 1\n}`
    expect(of(locked)).toContain('recheck readOnce(p + 1) === 0 ablatable')
    const walk = `${head}export function f(p: number): void {\n  spinLock(p)\n  for (let i = 0; i < 9; i++) if (readOnce(p + i) === 0) return\n  spinUnlock(p)\n}`
    expect(of(walk).filter((site) => site.startsWith('recheck'))).toEqual([])
  })

  it('a check whose outcome cannot be told has two variants', () => {
    const text = `${head}export function f(p: number, old: number): void {\n  if (readOnce(p) === old) g(p)\n}\nfunction g(p: number): void {\n  relax()\n}`
    const [site] = findSites({ ...machine, 'sync/snippet.ts': text }).filter(({ function: fn }) => fn === 'f')
    expect(site?.variants.map(({ name }) => name)).toEqual(['true', 'false'])
  })
})
