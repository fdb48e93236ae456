// Variants of the stepped kernel: what is not changed is the built kernel, functions that lose their last step can still be
// called, and a lock without its effect is caught by exploring it.
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, describe, expect, it } from 'vitest'
import { ablate, findSites, readKernelFiles } from '../../../src/check/ablate/index.ts'
import { CHANGED, stepVariant, variantTree } from '../../../src/check/ablate/variant-tree.ts'
import { explore, kernelModel } from '../../../src/check/explore/index.ts'
import { openTree, type Stepped, type Steps } from '../../../src/check/index.ts'
import { buildStepped, readBuiltKernel } from '../../../src/compile/build.ts'
import { openTiny, SCRATCH } from '../tiny-machine.ts'

const src = fileURLToPath(new URL('../../../src/kernel', import.meta.url))
const files = readKernelFiles(src)
const sites = findSites(files)
const base = fileURLToPath(new URL('../../../dist/stepped/kernel', import.meta.url))
const out = mkdtempSync(join(tmpdir(), 'gracewalk-'))
afterAll(() => rmSync(out, { recursive: true }))

let variants = 0
/** The variant of `changed` in a directory of its own. */
function build(changed: Record<string, string>): string {
  const dir = join(out, String(variants++), 'kernel')
  variantTree(base, changed, dir)
  return dir
}

const normal = (code: string): string =>
  code
    .replace(/\$1, \d+/g, '$$1, N')
    .replace(/, \d+\)/g, ', N)')
    .replace(/\((\d+)\)/g, '(N)')
const built = (dir: string, path: string): string => readFileSync(join(dir, path.replace(/\.ts$/, '.js')), 'utf8')

describe('a variant', () => {
  it('of nothing is the built kernel', () => {
    const { summary, sites: packed } = readBuiltKernel(base)
    for (const path of ['fault/anonymous.ts', 'sync/rwsem.ts', 'design/vma-lock.ts', 'vma/maple-tree.ts']) {
      const first = packed.sites.findIndex(([file]) => packed.names[file] === path) + 1
      const { modules, summary: after } = stepVariant({ [path]: files[path] as string }, summary, first)
      expect(`${modules[0]?.stepped.code}\n`).toBe(built(base, path).replace(/\/\/# sourceMappingURL.*\n$/, ''))
      expect(after).toEqual(summary)
    }
  })

  it('has new places behind the built ones, and shares every file that it does not change', async () => {
    const site = sites.find(({ id }) => id.startsWith('pagetable/pte-offset-map.ts') && id.endsWith('recheck'))
    if (site === undefined) throw new Error('no site')
    const dir = build(ablate(files, site))
    const real = await openTree(base)
    const tree = await openTree(dir)
    expect(tree.sites.slice(0, real.sites.length)).toEqual(real.sites)
    const mine = real.sites.filter(({ file }) => file === site.file)
    const added = tree.sites.slice(real.sites.length)
    expect(added.map(({ line, instruction }) => `${line} ${instruction}`)).toEqual(
      mine.map(({ line, instruction }) => `${line} ${instruction}`),
    )
    const other = await tree.module<{ pteOffsetMapLock: unknown }>('pagetable/pte-offset-map.ts')
    expect(other.pteOffsetMapLock).not.toBe(
      (await real.module<{ pteOffsetMapLock: unknown }>('pagetable/pte-offset-map.ts')).pteOffsetMapLock,
    )
    expect(built(dir, 'sync/rcu.ts')).toBe(built(base, 'sync/rcu.ts'))
    expect(built(dir, site.file)).not.toBe(built(base, site.file))
    // On one file system they are the same file, not a copy.
    const near = join(base, '..', '..', `.variant-${process.pid}`)
    try {
      variantTree(base, ablate(files, site), join(near, 'kernel'))
      expect(statSync(join(near, 'kernel/sync/rcu.js')).ino).toBe(statSync(join(base, 'sync/rcu.js')).ino)
    } finally {
      rmSync(near, { recursive: true, force: true })
    }
  })

  it('is what building all of the kernel with the change makes', async () => {
    for (const id of [/^fault\/anonymous.ts:\d+:lock$/, /^design\/mmap-lock.ts:\d+:lock$/]) {
      const site = sites.find((candidate) => id.test(candidate.id))
      if (site === undefined) throw new Error('no site')
      const changed = ablate(files, site)
      const whole = join(out, `whole${variants}`, 'kernel')
      await buildStepped(src, whole, { replace: changed })
      const dir = build(changed)
      for (const path of Object.keys(changed)) expect(normal(built(dir, path))).toBe(normal(built(whole, path)))
    }
  })

  it('keeps generators that lose their only step', async () => {
    const site = sites.find((candidate) => candidate.function === 'refcountInc' && candidate.operator === 'publish')
    if (site === undefined) throw new Error('no site')
    const tree = await openTree(build(ablate(files, site)))
    const { refcountInc } = await tree.module<typeof import('../../../src/kernel/sync/refcount.ts')>('sync/refcount.ts')
    expect(refcountInc(5).next()).toEqual({ done: true, value: undefined })
    // A caller in another file, which was not built again, delegates to it.
    const { getFile } = await tree.module<typeof import('../../../src/kernel/memory/file.ts')>('memory/file.ts')
    expect(getFile(5).next()).toEqual({ done: true, value: undefined })
  })

  it('keeps them inside one file too', async () => {
    const text = files['sync/refcount.ts'] as string
    // `outer` steps only because it calls `refcountInc`, which the variant empties.
    const changed = `${text.replace('atomicAdd(p, 1)', '{}')}\nexport function outer(p: number): void {\n  inner(p)\n}\nfunction inner(p: number): void {\n  refcountInc(p)\n}\n`
    const tree = await openTree(build({ 'sync/refcount.ts': changed }))
    const { outer } = await tree.module<{ outer: (p: number) => void }>('sync/refcount.ts')
    expect(outer(5).next()).toEqual({ done: true, value: undefined })
  })

  it('is refused where an exported function begins to step', () => {
    const text = files['memory/page.ts'] as string
    const changed = text
      .replace('import { load, store }', 'import { load, readOnce, store }')
      .replace('return load(Global.pages) + (pfn', 'return readOnce(Global.pages) + (pfn')
    expect(() => build({ 'memory/page.ts': changed })).toThrow(/'pfnToPage' now steps and did not before/)
    expect(() => build({ 'machine/instructions.ts': '' })).toThrow(/not stepped/)
  })
})

describe('exploring variants of the spinlock', () => {
  const LOCK = SCRATCH
  const COUNT = SCRATCH + 1

  type Spinlock = Stepped<typeof import('../../../src/kernel/sync/spinlock.ts')>

  /** CPUs count under a lock. */
  async function verdict(dir: string | undefined, cpus: number): Promise<string> {
    const tiny = await openTiny(dir)
    const on = tiny.tree.instructions
    const lock = (await tiny.tree.module('sync/spinlock.ts')) as Spinlock
    function* count(): Steps<void> {
      yield* lock.spinLock(LOCK)
      yield on.writeOnce(COUNT, (yield on.readOnce(COUNT)) + 1)
      yield* lock.spinUnlock(LOCK)
    }
    const machine = tiny.machine(cpus)
    const check = (_results: unknown, words: Int32Array): string => (words[COUNT] === cpus ? '' : `counted ${words[COUNT]}`)
    return explore(kernelModel({ machine, calls: new Array(cpus).fill([count]), check })).verdict
  }

  it('proves the real one, also by its own steps', async () => {
    expect(await verdict(undefined, 2)).toBe('proved')
    // A change without effect: the explorer takes no short cut through a function that was changed.
    const text = files['sync/spinlock.ts'] as string
    const dir = build({
      'sync/spinlock.ts': text.replace('while (readOnce(lock) !== 0) relax()', 'while ((readOnce(lock) !== 0)) relax()'),
    })
    const { sites: places } = await openTree(dir)
    const named = places.filter((site) => site.function.endsWith(CHANGED)).map((site) => site.function)
    expect(new Set(named)).toEqual(new Set([`spinLockSlow${CHANGED}`, `spinLock${CHANGED}`]))
    expect(await verdict(dir, 2)).toBe('proved')
  })

  // Between a waiter's look and its second attempt somebody else must come: three CPUs.
  const cpusFor: Readonly<Record<string, number>> = { spinLock: 2, spinUnlock: 2, spinLockSlow: 3 }
  const named = sites.filter(({ file, function: fn, status, operator }) => {
    // Without its inner loop the lock still excludes.
    return (
      file === 'sync/spinlock.ts' && status === 'ablatable' && cpusFor[fn] !== undefined && !(fn === 'spinLockSlow' && operator === 'wait')
    )
  })
  it.each(named.map((site) => [site.id, site.text, site] as const))('%s: %s is load-bearing', async (_id, _text, site) => {
    expect(await verdict(build(ablate(files, site)), cpusFor[site.function] as number)).toBe('violation')
  })
})
