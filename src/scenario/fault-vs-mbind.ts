// A fault asks the policy of its VMA where its page should come from. Where faults hold no lock of the VMA, mbind may be giving it another
// policy meanwhile, and lets go of the old one: whoever looks at it must be waited for, or have a reference. RCU is preemptible here: a CPU in a
// kernel that is not holds up grace periods whatever it holds.
import { scenario, type Variant } from './scenario.ts'

const FILE = 'memory/mempolicy.ts'

const VARIANTS: readonly Variant[] = [
  {
    name: 'freed-at-once',
    wrong: 'a policy is freed with its last reference, not after a grace period',
    edits: [
      {
        file: FILE,
        from: 'callRcu(policy + Mempolicy.rcuHead, RcuFunc.mempolicy)',
        to: 'kmemCacheFree(Cache.mempolicy, policy)',
      },
      {
        file: FILE,
        from: "import { callRcu, RcuHead } from '../sync/rcu.ts'\nimport { RcuFunc } from '../sync/rcu-func.ts'\n",
        to: "import { RcuHead } from '../sync/rcu.ts'\n",
      },
    ],
    unsafe: /use after free: CPU 0|kmemCacheFree .* is not ordered with/,
    on: { design: 'rcu-fault' },
  },
  {
    name: 'no-reference',
    wrong: 'a fault that looks at the policy outside the RCU section in which it found it takes no reference',
    edits: [
      {
        file: 'design/speculation.ts',
        from: '  const held = policy === 0 ? 0 : mpolGetNotZero(policy)\n',
        to: '  const held = policy === 0 ? 0 : 1\n',
      },
      { file: 'design/speculation.ts', from: '  mpolPut(load(vmaCopy() + Vma.policy))\n', to: '' },
      { file: 'design/speculation.ts', from: "import { mpolGetNotZero, mpolPut } from '../memory/mempolicy.ts'\n", to: '' },
    ],
    unsafe: /use after free: CPU 0|kmemCacheFree .* is not ordered with/,
    on: { design: 'speculative' },
  },
]

/** CPU 0 faults on a page while CPU 1 gives its mapping another policy and waits until the old one is freed. */
export const faultVsMbind = scenario({
  name: 'fault-vs-mbind',
  question: 'May a fault look at the memory policy of its VMA while mbind replaces it?',
  asked: 'bugs.md, B19: a speculative look at a policy that was freed without RCU (CVE-2026-23415)',
  cpus: 2,
  archs: ['x86_64'],
  rcus: ['preemptible'],
  usually: { designs: ['rcu-fault', 'speculative', 'srcu'] },
  setUp: (stage) => {
    const mm = stage.newMm()
    const page = stage.table(4)
    stage.now(0, mm.mmap(page, 2))
    stage.now(0, mm.mbind(page, 2, 1))
    stage.now(0, mm.write(page, 1))
    return { calls: [[mm.write(page + 1, 7)], [mm.mbind(page, 2, 0), stage.waitForCallbacks]] }
  },
  expect: 'safe',
  variants: VARIANTS,
})

/** CPU 0 faults on a page while CPU 1 takes the policy away, so that the VMA is swallowed by its neighbour: the fault may have found it. */
export const faultVsMbindThatMerges = scenario({
  name: 'fault-vs-mbind-that-merges',
  question: 'May a fault find the policy of a VMA that is gone, when RCU has let go of the policy and SRCU has not of the VMA?',
  asked: 'field: SRCU keeps what a fault has found for longer than RCU does; the policy of a VMA goes through RCU',
  cpus: 2,
  archs: ['x86_64'],
  rcus: ['preemptible'],
  usually: { designs: ['srcu'] },
  setUp: (stage) => {
    const mm = stage.newMm()
    const page = stage.table(4)
    stage.now(0, mm.mmap(page, 2))
    stage.now(0, mm.write(page, 1))
    stage.now(0, mm.mbind(page + 1, 1, 1))
    return { calls: [[mm.write(page + 1, 7)], [mm.mbind(page + 1, 1), stage.waitForCallbacks]] }
  },
  expect: 'safe',
  variants: [
    {
      name: 'pointer-kept',
      wrong: 'the VMA goes on naming the policy that has been let go of',
      edits: [
        { file: 'vma/vma.ts', from: '  writeOnce(vma + Vma.policy, 0)\n', to: '' },
        { file: 'vma/vma.ts', from: 'import { load, store, writeOnce }', to: 'import { load, store }' },
      ],
      unsafe: /use after free: CPU 0|kmemCacheFree .* is not ordered with/,
      on: { design: 'srcu' },
    },
  ],
})
