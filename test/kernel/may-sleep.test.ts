// What may sleep says so to the checker, whether it sleeps this time or not; and what is queued for SRCU says that.
import { expect, test } from 'vitest'
import { openTree, runAlone, type Steps } from '../../src/check/index.ts'
import { Op } from '../../src/compile/stepped/ops.ts'
import { Global } from '../../src/kernel/machine/globals.ts'
import { Access } from '../../src/kernel/pagetable/tlb.ts'
import { Placement } from '../../src/kernel/syscall/mmap.ts'
import { Vm } from '../../src/kernel/vma/vma.ts'
import { wholeMachine } from '../check/whole-machine.ts'

const tree = await openTree()
const READ = Vm.read | Vm.mayRead

test('sleeping functions and call_srcu tell the checker', async () => {
  const { machine, kernel } = await wholeMachine(tree, 'x86_64', 'vma-lock', 1, { geometry: 'small' })
  const cache = await tree.module<typeof import('../../src/kernel/memory/page-cache.ts')>('memory/page-cache.ts')
  const srcu = await tree.module<typeof import('../../src/kernel/sync/srcu.ts')>('sync/srcu.ts')
  const noted: string[] = []
  const note = (task: () => unknown): string[] => {
    noted.length = 0
    tree.announce.observe((op, _a, _b, _c, site) => {
      if (op === Op.mightSleep || op === Op.rcuQueued) noted.push(tree.sites[site]?.function ?? '')
    })
    runAlone(machine, task)
    tree.announce.observe(null)
    return noted
  }
  const mm = runAlone(machine, () => kernel.sysNewMm()) as number
  runAlone(machine, () => kernel.sysSwitchMm(mm))
  const inode = runAlone(machine, () => kernel.inodeCreate(4, 1, 0, 1)) as number
  const file = runAlone(machine, () => kernel.fileOpen(inode)) as number
  runAlone(machine, () => kernel.sysMmap(mm, 100, 4, READ, Placement.fixed, file, 0))
  function* readFault(): Steps<void> {
    if ((yield* kernel.beginAccess(100, Access.read)) > 0) yield* kernel.endAccess()
  }
  expect(note(readFault)).toContain('readPage')
  const page = runAlone(machine, () => cache.filemapGetPage(inode, 0)) as number
  expect(note(() => cache.waitOnPageLocked(page))).toContain('waitOnPageLocked')
  // The VMA is write-locked by its unmapping.
  expect(note(() => kernel.sysMunmap(mm, 100, 4))).toContain('enterLocked')
  expect(note(() => kernel.rcuBarrier())).toContain('rcuBarrier')
  const head = machine.words[Global.frames] as number
  expect(note(() => srcu.callSrcu(Global.srcuDomain, head, 1))).toContain('callSrcu')
})
