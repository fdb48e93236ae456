// File faults under random schedules of the stepped kernel: pages come from a disk once, whoever asks; faults give up their
// lock while they wait; a mapping may go meanwhile.
import { describe, expect, test } from 'vitest'
import { openTree, randomScheduler, run, runAlone, type Steps } from '../../src/check/index.ts'
import { load } from '../../src/kernel/machine/instructions.ts'
import { Inode } from '../../src/kernel/memory/inode.ts'
import { fileStamp } from '../../src/kernel/memory/page-cache.ts'
import { Access } from '../../src/kernel/pagetable/tlb.ts'
import { Placement } from '../../src/kernel/syscall/mmap.ts'
import { Vm } from '../../src/kernel/vma/vma.ts'
import { tearDown, wholeMachine } from '../check/whole-machine.ts'
import { combinations } from '../combinations.ts'

const SEEDS = 80
const CPUS = 3
const ID = 7
const MAY = Vm.mayRead | Vm.mayWrite | Vm.mayExec
const PRIVATE = Vm.read | Vm.write | MAY | Vm.account
const SHARED = Vm.read | Vm.write | MAY | Vm.shared | Vm.mayShare
const SIGBUS = -4
const SEGV_MAPERR = -1

const tree = await openTree()

describe.each(combinations)('%s on %s', (design, arch, parts) => {
  test('one page of a disk file, shared, private and unmapped at once', async () => {
    const whole = await wholeMachine(tree, arch, design, CPUS)
    const { machine, kernel } = whole
    const words = machine.words
    const mm = runAlone(machine, () => kernel.sysNewMm()) as number
    const inode = runAlone(machine, () => kernel.inodeCreate(4, 1, 0, ID)) as number
    const file = runAlone(machine, () => kernel.fileOpen(inode)) as number
    const at = (page: number, flags: number): number =>
      runAlone(machine, () => kernel.sysMmap(mm, page, 5, flags, Placement.fixed, file, 0)) as number
    const shared = at(1000, SHARED)
    const own = at(2000, PRIVATE)
    const gone = at(3000, SHARED)
    for (let cpu = 0; cpu < CPUS; cpu++) runAlone(machine, () => kernel.sysSwitchMm(mm), cpu)
    const before = words.slice()

    function* touch(page: number, access: number, value = 0): Steps<number> {
      const frame = yield* kernel.beginAccess(page, access)
      if (frame < 0) return frame
      if (access === Access.write) words[frame + 1] = value
      const seen = words[frame] as number
      yield* kernel.endAccess()
      return seen
    }
    function* unmapped(): Steps<number> {
      yield* touch(gone, Access.read)
      yield* kernel.sysMunmap(mm, gone, 5)
      return yield* touch(gone, Access.read)
    }
    for (let seed = 0; seed < SEEDS / parts; seed++) {
      words.set(before)
      const tasks = [() => touch(shared, Access.write, 5), () => touch(own, Access.write, 6), unmapped]
      const outcome = run(machine, tasks, randomScheduler(seed, seed % 2 === 0 ? 0 : 0.9), { maxSteps: 50_000 })
      expect(outcome.message).toBe('')
      const stamp = fileStamp(ID, 0)
      expect(outcome.results).toEqual([stamp, stamp, SEGV_MAPERR])
      expect(load(inode + Inode.cached)).toBe(1)
      expect(runAlone(machine, () => touch(own, Access.read))).toBe(stamp)
      expect(runAlone(machine, () => touch(shared + 4, Access.read))).toBe(SIGBUS)
      runAlone(machine, () => kernel.putFile(file))
      runAlone(machine, () => kernel.iput(inode))
      expect(tearDown(whole, [mm])).toBe('')
    }
  })
})
