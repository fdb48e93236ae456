// An allocation in an RCU section cannot wait for memory. It may fail, so that the fault is done otherwise; or it may leave the section
// for as long as it waits, "and return an indication that it has done so": then all that was looked up is worth nothing.
import { READ_WRITE } from './runner/calls.ts'
import type { Stage } from './runner/stage.ts'
import { type Play, scenario, type Variant } from './scenario.ts'

const FILE = 'fault/alloc-page.ts'

/** Prepares a fault of CPU 0 with no frame but those that its own deferred frees keep; CPU 1 unmaps the page, and frees it in passing. */
function besideMunmap(ofFile: boolean): (stage: Stage) => Promise<Play> {
  return async (stage) => {
    const rcu = await stage.program<typeof import('./programs/barrier.ts')>('barrier')
    const { faultForWrite } = await stage.program<typeof import('./programs/fault.ts')>('fault')
    // Loaded on CPU 0 only while it is set up: what is asked has nothing to do with TLBs and their IPIs.
    const mm = stage.newMm([0])
    const page = stage.table(4)
    const gone = stage.table(40)
    const file = ofFile ? stage.file(1) : undefined
    stage.now(0, mm.mmap(page, 1, READ_WRITE, file))
    // The mapping has the file's only reference.
    if (file !== undefined) stage.now(0, file.close)
    stage.now(0, mm.write(page, 1))
    stage.now(0, mm.dontneed(page, 1))
    stage.now(0, mm.mmap(gone, 1))
    stage.now(0, mm.write(gone, 1))
    stage.now(0, mm.munmap(gone, 1))
    stage.now(
      0,
      stage.call('run nothing', () => stage.kernel.sysSwitchMm(0)),
    )
    stage.now(
      1,
      stage.call('many callbacks', () => rcu.almostABatch()),
    )
    stage.shortage(0, 0)
    const fault = stage.call('fault', () => faultForWrite(mm.mm, page))
    return { calls: [[fault], [mm.munmap(page, 1), stage.call('enter and leave the kernel', () => rcu.visit())]] }
  }
}

const ASKED =
  'thread 003: the allocation is to fail rather than sleep, or magically drop the RCU lock and return an indication that it has done so'

const INDICATION_IGNORED: Variant = {
  name: 'indication-ignored',
  wrong: 'the fault goes on with what it had found before the RCU lock was dropped',
  edits: [{ file: FILE, from: '  if (load(thisCpu() + Cpu.out0) !== 0) {\n', to: '  if (load(thisCpu() + Cpu.out0) < 0) {\n' }],
  on: { design: 'rcu-fault-drops-lock' },
  unsafe: /use after free: CPU 0|reused too early/,
}

export const rcuFaultWithoutMemory = scenario({
  name: 'rcu-fault-without-memory',
  question: 'May an allocation inside a fault drop the RCU lock while it waits for memory?',
  asked: ASKED,
  cpus: 2,
  designs: ['rcu-fault', 'rcu-fault-drops-lock'],
  archs: ['x86_64'],
  setUp: besideMunmap(false),
  expect: 'safe',
  variants: [
    INDICATION_IGNORED,
    {
      name: 'sleeps-inside',
      wrong: 'the allocation waits for memory without dropping the RCU lock',
      edits: [
        { file: FILE, from: '    rcuReadUnlock()\n', to: '' },
        { file: FILE, from: '    rcuReadLock()\n', to: '' },
        { file: FILE, from: "import { rcuReadLock, rcuReadUnlock } from '../sync/rcu.ts'\n", to: '' },
      ],
      on: { design: 'rcu-fault-drops-lock' },
      unsafe: /CPU 0 may sleep at .* inside the RCU section/,
    },
  ],
})

/** The same with a private page of a file, which is in the page cache, and whose copy lacks memory. */
export const rcuFaultOnFileWithoutMemory = scenario({
  name: 'rcu-fault-on-file-without-memory',
  question: 'May the allocation of a copy drop the RCU lock that keeps the file whose page is to be copied?',
  asked: ASKED,
  cpus: 2,
  designs: ['rcu-fault', 'rcu-fault-drops-lock'],
  usually: { designs: ['rcu-fault'] },
  archs: ['x86_64'],
  setUp: besideMunmap(true),
  expect: 'safe',
  variants: [
    INDICATION_IGNORED,
    {
      name: 'page-kept',
      wrong: 'without memory for the copy, the reference to the page of the file is kept',
      edits: [{ file: 'fault/file.ts', from: '  if (copy < 0) {\n    putPage(page)\n', to: '  if (copy < 0) {\n' }],
      unsafe: /leak/,
    },
  ],
})
