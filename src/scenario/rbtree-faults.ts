// Faults whose VMAs hang in a red-black tree. Under mmap_lock the tree stands still. A fault that looks its VMA up beside a writer may
// miss it, or get one that is on its way out; it is right if it takes neither for the truth: `speculative` compares a sequence count
// and gives up, `vma-lock` looks at the VMA again once it has its reference. Both do what they cannot do under mmap_lock, so that
// what they miss costs time. Neither may raise a signal because it found nothing, as a fault beside a maple tree might.
import { type Scenario, scenario, type Variant } from './scenario.ts'

const LOCKLESS = ['speculative', 'vma-lock']
const WHERE = { cpus: 2, archs: ['x86_64'], indexes: ['rbtree'] } as const

const MISS_BELIEVED: readonly Variant[] = [
  {
    name: 'miss-believed',
    wrong: 'a speculative fault that finds no VMA raises the signal',
    edits: [
      {
        file: 'design/speculative.ts',
        from: '  if (found !== 0) return giveUp(found)\n',
        to: '  if (found === Outcome.unmapped) return 2\n  if (found !== 0) return giveUp(found)\n',
      },
      {
        file: 'design/speculative.ts',
        from: '    if (speculate(mm, vpn, access, form) !== 0) return 0\n',
        to: '    const done = speculate(mm, vpn, access, form)\n    if (done === 2) return VmFault.sigsegvMaperr\n    if (done !== 0) return 0\n',
      },
    ],
    on: { design: 'speculative' },
    unsafe: /found a hole|write of 7 to page 0x13 ended in SIGSEGV/,
  },
  {
    name: 'miss-believed-under-rcu',
    wrong: 'a fault that finds no VMA under RCU raises the signal, as would be right with a maple tree',
    edits: [
      {
        file: 'design/vma-lock.ts',
        from: '    if (vma === 0) break\n',
        to: '    if (vma === 0) {\n      rcuReadUnlock()\n      return -1\n    }\n',
      },
      {
        file: 'design/vma-lock.ts',
        from: '  const vma = lockVmaUnderRcu(mm, vpn)\n',
        to: '  const vma = lockVmaUnderRcu(mm, vpn)\n  if (vma < 0) return VmFault.sigsegvMaperr\n',
      },
    ],
    on: { design: 'vma-lock' },
    unsafe: /found a hole|write of 7 to page 0x13 ended in SIGSEGV/,
  },
]

/** CPU 0 faults in a VMA that stays while CPU 1 maps another behind it: the tree is rotated, and CPU 0's VMA becomes the top. */
export const rbtreeFaultVsRotation: Scenario = scenario({
  ...WHERE,
  name: 'rbtree-fault-vs-rotation',
  question: 'May a fault look its VMA up in a red-black tree beside a writer who rotates it?',
  asked: 'thread 002, M. Lespinasse on speculative page faults: rbtrees walked beside writers, if a sequence check follows',
  designs: ['mmap-lock', ...LOCKLESS],
  setUp: (stage) => {
    const mm = stage.newMm()
    const page = stage.table(4)
    stage.now(0, mm.mmap(page, 1))
    stage.now(0, mm.mmap(page + 2, 2))
    stage.now(0, mm.write(page + 2, 1))
    return {
      calls: [[mm.write(page + 3, 7)], [mm.mmap(page + 5, 1)]],
      check: ([cpu0]) => (cpu0?.[0] === 0 ? '' : 'a fault found a hole where a VMA was before and after'),
    }
  },
  expect: 'safe',
  variants: MISS_BELIEVED,
})

/** CPU 0 faults in a VMA that takes the place of the one that CPU 1 unmaps. */
export const rbtreeFaultVsErase: Scenario = scenario({
  ...WHERE,
  name: 'rbtree-fault-vs-erase',
  question: 'May a fault look its VMA up in a red-black tree beside a writer who takes another out?',
  asked: 'thread 002, M. Lespinasse on speculative page faults: rbtrees walked beside writers, if a sequence check follows',
  designs: LOCKLESS,
  setUp: (stage) => {
    const mm = stage.newMm()
    const page = stage.table(4)
    for (const at of [0, 2, 7, 4]) stage.now(0, mm.mmap(page + at, at === 4 ? 2 : 1))
    stage.now(0, mm.write(page + 4, 1))
    return {
      calls: [[mm.write(page + 5, 7)], [mm.munmap(page + 2, 1), stage.waitForCallbacks]],
      check: ([cpu0]) => (cpu0?.[0] === 0 ? '' : 'a fault found a hole where a VMA was before and after'),
    }
  },
  expect: 'safe',
})

/**
 * The same, and CPU 1 maps another page, where VMAs are freed at once in the memory of the VMA that went. The walk would be right: the
 * memory stays that of a VMA (`rbtree-typesafe-nodes`), and what was found is looked at again. But bounds of a VMA that is not in a
 * tree yet are stored plain, as those of a VMA that nobody can see: `vma-lock` promises late readers its count and its number alone. With
 * marked stores there it is proved, as is `speculative` with VMAs that are freed at once.
 */
export const rbtreeFaultVsReuse: Scenario = scenario({
  ...WHERE,
  name: 'rbtree-fault-vs-reuse',
  question: 'May the memory of a VMA be that of another while a fault that walks the red-black tree stands in it?',
  asked: 'thread 002; SLAB_TYPESAFE_BY_RCU',
  designs: LOCKLESS,
  setUp: (stage) => {
    const mm = stage.newMm()
    const page = stage.table(4)
    for (const at of [0, 2, 4]) stage.now(0, mm.mmap(page + at, at === 4 ? 2 : 1))
    stage.now(0, mm.write(page + 4, 1))
    return {
      calls: [[mm.write(page + 5, 7)], [mm.munmap(page + 2, 1), mm.mmap(page + 8, 1)]],
      check: ([cpu0]) => (cpu0?.[0] === 0 ? '' : 'a fault found a hole where a VMA was before and after'),
    }
  },
  expect: ({ design }) => (design === 'vma-lock' ? { unsafe: /data race on .*VMA.*rbWalk/ } : 'safe'),
  variants: [
    {
      name: 'freed-at-once',
      wrong: 'a VMA is freed without waiting for the faults that look at it under RCU',
      edits: [
        { file: 'design/speculation.ts', from: '  callRcu(vma + Vma.rcuHead, RcuFunc.vma)\n', to: '  kmemCacheFree(Cache.vma, vma)\n' },
        {
          file: 'design/speculation.ts',
          from: "import { callRcu, rcuReadLock, rcuReadUnlock } from '../sync/rcu.ts'\nimport { RcuFunc } from '../sync/rcu-func.ts'\n",
          to: "import { Cache, kmemCacheFree } from '../memory/slab.ts'\nimport { rcuReadLock, rcuReadUnlock } from '../sync/rcu.ts'\n",
        },
      ],
      on: { design: 'speculative' },
      unsafe: /data race on .*VMA.*rbWalk/,
    },
  ],
})
