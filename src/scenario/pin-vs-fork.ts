// A pinned page stays the page of the mapping that it was pinned from, or what a device writes is never seen: fork gives the
// child a copy at once, and a pin of a page that is shared since an earlier fork unshares it first.
import { pteOf } from '../check/detect/index.ts'
import { Page, PageFlag } from '../kernel/memory/page.ts'
import { Pte, ptePfn } from '../kernel/pagetable/entries.ts'
import { Access } from '../kernel/pagetable/tlb.ts'
import { type Call, type Calls, hex } from './runner/calls.ts'
import { pageOf } from './runner/space-lines.ts'
import type { Stage } from './runner/stage.ts'
import { scenario } from './scenario.ts'

/** A write of `value` to `page` by somebody who has it pinned, for `access`. */
async function writeWhilePinned(
  stage: Stage,
  { mm }: Calls & { readonly mm: number },
  page: number,
  access: number,
  value: number,
): Promise<Call> {
  const pin = await stage.program<typeof import('./programs/pin.ts')>('pin')
  return {
    text: `pin ${hex(page)}, write ${value}`,
    description: { name: 'write', mm, start: page, pages: 1, stamp: value },
    begin: () => pin.writeWhilePinned(mm, page, access, value),
  }
}

/** CPU 0 pins a page; CPU 1 forks. At the end the next write to the page must still go to what is pinned. */
export const pinVsFork = scenario({
  name: 'pin-vs-fork',
  question: 'May a fork leave a pin behind on a page that the next write replaces?',
  asked: 'field: folio_needs_cow_for_dma in copy_present_page; has_pinned and the write_protect_seq of gup-fast',
  cpus: 2,
  archs: ['x86_64'],
  designs: ['vma-lock'], // a pin takes mmap_lock whatever the design
  setUp: (stage) => {
    const mm = stage.newMm()
    const page = stage.table(4)
    const { words } = stage.machine
    const { kernel } = stage
    stage.now(0, mm.mmap(page, 1))
    stage.now(0, mm.write(page, 1))
    let pinned = 0
    const pin: Call = {
      text: `pin ${hex(page)}`,
      description: { name: 'pin', mm: mm.mm, start: page, pages: 1 },
      begin: () => kernel.sysPinUserPage(mm.mm, page, Access.write),
    }
    return {
      calls: [[pin], [mm.fork()]],
      after: [stage.call('unpin', () => kernel.sysUnpinUserPage(pinned))],
      check: ([[held = 0] = []]) => {
        pinned = held
        const pte = pteOf(words, mm.mm, page)
        const stays = (pte & Pte.write) !== 0 || ((words[held + Page.flags] as number) & PageFlag.anonExclusive) !== 0
        const now = pageOf(words, ptePfn(pte))
        return held === now && stays ? '' : 'the next write leaves the pin behind'
      },
    }
  },
  expect: 'safe',
  variants: [
    {
      name: 'pinned-page-shared',
      wrong: 'fork shares a pinned page as any other',
      edits: [
        { file: 'pagetable/copy-page-range.ts', from: ' !== 0 && pageMaybePinned(page)\n', to: ' !== 0 && page < 0\n' },
        { file: 'pagetable/copy-page-range.ts', from: "import { pageMaybePinned } from '../memory/pin.ts'\n", to: '' },
      ],
      unsafe: /leaves the pin behind/,
    },
    {
      name: 'pin-counts-one',
      wrong: 'a pin counts as any other reference',
      edits: [
        { file: 'memory/pin.ts', from: '  atomicAdd(page + Page.refcount, PIN_BIAS)\n', to: '  atomicAdd(page + Page.refcount, 1)\n' },
        { file: 'memory/pin.ts', from: 'atomicAdd(page + Page.refcount, -PIN_BIAS)', to: 'atomicAdd(page + Page.refcount, -1)' },
      ],
      unsafe: /leaves the pin behind/,
    },
    {
      name: 'pinned-unlocked',
      wrong: 'the page is pinned without the lock of its table and without mmap_lock',
      edits: [
        { file: 'syscall/gup.ts', from: '  mmapReadLock(mm)\n', to: '' },
        { file: 'syscall/gup.ts', from: '  mmapReadUnlock(mm)\n', to: '' },
        { file: 'syscall/gup.ts', from: "import { mmapReadLock, mmapReadUnlock } from '../vma/mmap-lock.ts'\n", to: '' },
        { file: 'syscall/gup.ts', from: 'pmd === 0 ? 0 : pteOffsetMapLock(pmd, vpn)', to: 'pmd === 0 ? 0 : pteOffsetMap(pmd, vpn)' },
        { file: 'syscall/gup.ts', from: '  const ptl = load(thisCpu() + Cpu.out1)\n', to: '' },
        { file: 'syscall/gup.ts', from: '  pteUnmapUnlock(ptep, ptl)\n', to: '  pteUnmap(ptep)\n' },
        { file: 'syscall/gup.ts', from: 'import { pteOffsetMapLock, pteUnmapUnlock }', to: 'import { pteOffsetMap, pteUnmap }' },
        {
          file: 'syscall/gup.ts',
          from: "import { load, thisCpu } from '../machine/instructions.ts'\nimport { Cpu } from '../machine/percpu.ts'\n",
          to: "import { load } from '../machine/instructions.ts'\n",
        },
      ],
      unsafe: /leaves the pin behind|data race/,
    },
  ],
})

/** CPU 0 pins a page that a child shares, for reading, and then writes as the user does; the child writes meanwhile. */
export const pinOfSharedPage = scenario({
  name: 'pin-of-shared-page',
  question: 'May a pin for reading be left behind on a page that is shared since a fork?',
  asked: 'field: gup_must_unshare and FAULT_FLAG_UNSHARE, Linux 5.19',
  cpus: 2,
  archs: ['x86_64'],
  setUp: async (stage) => {
    const parent = stage.newMm([0])
    const page = stage.table(4)
    stage.now(0, parent.mmap(page, 1))
    stage.now(0, parent.write(page, 1))
    const child = stage.callsOn(stage.now(0, parent.fork()), [1])
    return { calls: [[await writeWhilePinned(stage, parent, page, Access.read, 7)], [child.write(page, 8)]] }
  },
  expect: 'safe',
  variants: [
    {
      name: 'not-unshared',
      wrong: 'a pin for reading takes the page as it is mapped',
      edits: [
        {
          file: 'syscall/gup.ts',
          from: 'access === Access.write || (load(vma + Vma.flags) & (Vm.write | Vm.shared)) === Vm.write',
          to: 'access === Access.write || (load(vma + Vma.flags) & Vm.write) < 0',
        },
      ],
      unsafe: /write of 7 to page 0x10 returned -1000/,
    },
    {
      name: 'right-to-write-not-looked-at',
      wrong: 'a page that is mapped is pinned, may it be written or not',
      edits: [
        { file: 'syscall/gup.ts', from: 'write ? Pte.present | Pte.write : Pte.present', to: 'Pte.present' },
        {
          file: 'syscall/gup.ts',
          from: 'followPage(mm: number, vpn: number, write: boolean)',
          to: 'followPage(mm: number, vpn: number, _write: boolean)',
        },
      ],
      unsafe: /write of 7 to page 0x10 returned -1000/,
    },
  ],
})
