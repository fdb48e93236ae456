// Kernels with one line broken: the detectors must say so, in words that name what was freed, by whom and where.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import { openTree, runAlone } from '../../../src/check/index.ts'
import { buildStepped } from '../../../src/compile/build.ts'
import { look, scene } from './kernel-scenes.ts'

const src = fileURLToPath(new URL('../../../src/kernel', import.meta.url))

/** Page `first` is accessed beside a munmap of two pages, of which both CPUs know the first. */
async function broken(file: string, from: string, to: string, design: string, first: number): Promise<string> {
  const text = readFileSync(join(src, file), 'utf8')
  expect(text).toContain(from)
  const out = mkdtempSync(join(tmpdir(), 'gracewalk-'))
  try {
    const changed = text
      .replace(from, to)
      .replace(/(import \{ callRcu \} .*\n)/, `$1import { Cache, kmemCacheFree } from '../memory/slab.ts'\n`)
    await buildStepped(src, join(out, 'kernel'), { replace: { [file]: changed } })
    const here = await scene(await openTree(join(out, 'kernel')), 'x86_64', design, (mm, start) => [
      [{ name: 'write', mm, start: start + first, pages: 1 }],
      [{ name: 'munmap', mm, start, pages: 2 }],
    ])
    const { machine, kernel, mm, touch, page } = here
    for (let cpu = 0; cpu < 2; cpu++) runAlone(machine, touch(page), cpu)
    return look(here, [[touch(page + first)], [() => kernel.sysMunmap(mm, page, 2)]])
  } finally {
    rmSync(out, { recursive: true })
  }
}
it.each([
  [
    'an access under way is not waited for',
    'pagetable/tlb-flush.ts',
    'if (mode === Mode.user) while (readContext(cpu) === context) relax()',
    'if (mode === Mode.user) return',
    'vma-lock',
    0,
    /use after free: CPU 0 .* of page frame \d+ .*, which was freed by CPU 1 at freePage|stale translation: CPU 0/,
  ],
  [
    'the TLB of others is not told',
    'pagetable/tlb-flush.ts',
    'writeOnce(cpu + Cpu.tlbStale, (readOnce(cpu + Cpu.tlbStale) + 1) | 0)',
    '',
    'vma-lock',
    0,
    /use after free: CPU 0 .* of page frame \d+|stale translation: CPU 0 writes to page 0x\w+ .* after munmap of it by CPU 1 has returned/,
  ],
  [
    'a replaced maple node is freed at once',
    'vma/maple-replace.ts',
    'callRcu(node + MapleNode.rcuHead, RcuFunc.mapleNode)',
    'kmemCacheFree(Cache.mapleNode, node)',
    'vma-lock',
    1,
    /(use after free: CPU 0 at .* reads word \d+ of|reused too early: CPU 1 allocates) maple node 0x\w+.*freed by CPU 1 at kmemCacheFree/,
  ],
] as const)('%s', async (_name, file, from, to, design, first, message) => {
  expect(await broken(file, from, to, design, first)).toMatch(message)
})
