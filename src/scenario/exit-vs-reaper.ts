// Who kills a process may free its memory for it. The reaper holds the mm's structure and mmap_lock for reading, so that it may come
// when exit is through: what it finds then must be an empty tree.
import { scenario } from './scenario.ts'

/** CPU 0 ends an address space; CPU 1 reaps it. */
export const exitVsReaper = scenario({
  name: 'exit-vs-reaper',
  question: 'May the memory of a process be reaped while it ends by itself?',
  asked: 'bugs.md, B27: process_mrelease after exit_mmap walked the list of freed VMAs',
  cpus: 2,
  archs: ['x86_64'],
  designs: ['mmap-lock'], // the reaper takes mmap_lock whatever the design
  setUp: async (stage) => {
    const { keep, processMrelease } = await stage.program<typeof import('./programs/reverse-map.ts')>('reverse-map')
    const parent = stage.newMm([0])
    const page = stage.table(4)
    stage.now(0, parent.mmap(page, 1))
    stage.now(0, parent.write(page, 1))
    const child = stage.callsOn(stage.now(0, parent.fork()), [])
    stage.now(
      1,
      stage.call('mmgrab', () => keep(child.mm)),
    )
    return { calls: [[child.exit()], [stage.call('process_mrelease()', () => processMrelease(child.mm))]] }
  },
  expect: 'safe',
  variants: [
    {
      name: 'tree-kept',
      wrong: 'exit frees the VMAs and the nodes of the tree and leaves the root pointing to them',
      edits: [
        {
          file: 'vma/maple-store.ts',
          from: '  let tail = mteToNode(link)\n  store(tree + MapleTree.root, 0)\n',
          to: '  let tail = mteToNode(link)\n',
        },
      ],
      unsafe: /use after free/,
    },
  ],
})
