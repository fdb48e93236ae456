// Pins and copy-on-write. A child that pins a page which it shares, and then unmaps it, must not read through the pin what the parent
// writes afterwards (CVE-2020-29374: the parent took the page over, being the only one that maps it). And a pin for writing that
// finds its copy gone must not settle for the page of the file (CVE-2016-5195, Dirty COW).
import { Access } from '../kernel/pagetable/tlb.ts'
import { READ_WRITE } from './runner/calls.ts'
import { type Scenario, scenario } from './scenario.ts'

/** CPU 0, the parent, writes to a page that CPU 1, the child, has pinned for reading and unmapped. */
export const pinOfChildVsWrite: Scenario = scenario({
  name: 'pin-of-child-vs-write',
  question: 'May a child read through a pin what its parent writes after the fork?',
  asked: 'CVE-2020-29374: vmsplice of a page shared since a fork; do_wp_page and page_trans_huge_mapcount, Linux 5.8',
  cpus: 2,
  archs: ['x86_64'],
  designs: ['mmap-lock'], // a pin takes mmap_lock whatever the design
  setUp: async (stage) => {
    const pin = await stage.program<typeof import('./programs/pin.ts')>('pin')
    const parent = stage.newMm([0])
    const page = stage.table(4)
    const slot = stage.words(1)
    stage.now(0, parent.mmap(page, 1))
    stage.now(0, parent.write(page, 5))
    const child = stage.callsOn(stage.now(0, parent.fork()), [1])
    return {
      calls: [
        [parent.write(page, 9)],
        [
          {
            text: 'pin for reading',
            description: { name: 'pin', mm: child.mm, start: page, pages: 1 },
            begin: () => pin.pinInto(child.mm, page, Access.read, slot),
          },
          child.munmap(page, 1),
          stage.call('read what is pinned', () => pin.readPinned(slot)),
        ],
      ],
      labels: new Map([[slot, 'pinned']]),
      check: (results) => (results[1]?.[2] === 5 ? '' : `the child reads ${results[1]?.[2]}, which its parent wrote after the fork`),
    }
  },
  expect: 'safe',
  variants: [
    {
      name: 'taken-over-by-map-count',
      wrong: 'a pin takes the page as it is mapped, and a page that nobody else maps is written in place',
      edits: [
        {
          file: 'syscall/gup.ts',
          from: 'access === Access.write || (load(vma + Vma.flags) & (Vm.write | Vm.shared)) === Vm.write',
          to: 'access === Access.write || (load(vma + Vma.flags) & Vm.write) < 0',
        },
        { file: 'fault/copy-on-write.ts', from: '  return pageRefs(page) === 1\n', to: '  return readOnce(page + Page.mapcount) === 0\n' },
        { file: 'fault/copy-on-write.ts', from: 'getPage, pageAnon, pageRefs, putPage', to: 'getPage, pageAnon, putPage' },
      ],
      unsafe: /which its parent wrote after the fork/,
    },
  ],
})

/** CPU 0 pins a private page of a file for writing; CPU 1 throws the copy away meanwhile. */
export const pinForWritingVsDontneed: Scenario = scenario({
  name: 'pin-for-writing-vs-dontneed',
  question: 'May a pin for writing of a private page get the page of the file itself?',
  asked: 'CVE-2016-5195, Dirty COW: faultin_page dropped FOLL_WRITE once copy on write was broken, and MADV_DONTNEED took the copy away',
  cpus: 2,
  archs: ['x86_64'],
  designs: ['mmap-lock'], // a pin takes mmap_lock whatever the design
  setUp: async (stage) => {
    const pin = await stage.program<typeof import('./programs/pin.ts')>('pin')
    const mm = stage.newMm()
    const page = stage.table(4)
    const slot = stage.words(1)
    stage.now(0, mm.mmap(page, 1, READ_WRITE, stage.file(1)))
    stage.now(0, mm.read(page))
    return {
      calls: [
        [
          {
            text: 'pin for writing',
            description: { name: 'pin', mm: mm.mm, start: page, pages: 1 },
            begin: () => pin.pinInto(mm.mm, page, Access.write, slot),
          },
          stage.call('is it a copy?', () => pin.isPinnedAnon(slot)),
        ],
        [mm.dontneed(page, 1)],
      ],
      labels: new Map([[slot, 'pinned']]),
      check: (results) => (results[0]?.[1] === 1 ? '' : 'the page of the file is pinned for writing'),
    }
  },
  expect: 'safe',
  variants: [
    {
      name: 'right-to-write-dropped',
      wrong: 'once the fault has copied the page, whatever is mapped then is pinned',
      edits: [
        {
          file: 'syscall/gup.ts',
          from: 'function pinOnce(mm: number, vpn: number, access: number): number {',
          to: 'function pinOnce(mm: number, vpn: number, access: number, copied: number): number {',
        },
        {
          file: 'syscall/gup.ts',
          from: 'const write = access === Access.write || (load(vma + Vma.flags) & (Vm.write | Vm.shared)) === Vm.write',
          to: 'const write = copied === 0 && (access === Access.write || (load(vma + Vma.flags) & (Vm.write | Vm.shared)) === Vm.write)',
        },
        { file: 'syscall/gup.ts', from: '  let oom = 0\n', to: '  let oom = 0\n  let copied = 0\n' },
        {
          file: 'syscall/gup.ts',
          from: '    result = pinOnce(mm, vpn, access)\n',
          to: '    result = pinOnce(mm, vpn, access, copied)\n    copied = 1\n',
        },
      ],
      unsafe: /the page of the file is pinned for writing/,
    },
  ],
})
