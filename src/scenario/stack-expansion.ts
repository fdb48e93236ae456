// StackRot (CVE-2023-3269): a stack grew under mmap_lock held for reading, which replaces nodes of the maple tree, while others that
// held it for reading, and no RCU section, were in those nodes. In a kernel that can be preempted such a reader holds no grace period
// up. The kernel here is not preemptible; a reader that is preempted is one that passes a quiescent state in between.
import type { Stage } from './runner/stage.ts'
import { type Scenario, scenario } from './scenario.ts'

/** CPU 0 visits two entries under the semaphore, preempted between them; CPU 1 makes the second one grow downwards. */
function stackExpansion(name: string, question: string, writes: boolean, expect: Scenario['expect']): Scenario {
  return scenario({
    name,
    question,
    asked: 'bugs.md, B3: StackRot, CVE-2023-3269; thread 003, the maple tree under RCU',
    cpus: 2,
    archs: ['x86_64'],
    designs: ['mmap-lock'],
    setUp: async (stage: Stage) => {
      const { fell, fill, growUnder, walkUnder } = await stage.program<typeof import('./programs/maple.ts')>('maple')
      const words = stage.words(8)
      const [tree, semaphore] = [words, words + 4]
      stage.now(
        1,
        stage.call('plant', () => fill(tree, 1, 4, 10, 5)),
      )
      return {
        labels: new Map([
          [tree, 'root'],
          [semaphore, 'mmap_lock'],
        ]),
        calls: [
          [stage.call('find_vma(20), find the next', () => walkUnder(tree, semaphore, 20))],
          [
            stage.call(`expand_stack(${writes ? 'write' : 'read'} lock)`, () => growUnder(tree, semaphore, writes ? 1 : 0, 28, 29, 3)),
            stage.waitForCallbacks,
          ],
        ],
        check: ([cpu0]) => (cpu0?.[0] === 1003 ? '' : 'a reader lost a VMA that was there all the time'),
        after: [stage.call('fell', () => fell(tree))],
      }
    },
    expect,
  })
}

/** As it is since 6.5: the writer holds the semaphore for writing. */
export const stackExpansionUnderWriteLock = stackExpansion(
  'stack-expansion-under-write-lock',
  'May a stack grow under mmap_lock held for writing while others walk the tree under it?',
  true,
  'safe',
)

/** As it was in 6.1 to 6.4. */
export const stackExpansionUnderReadLock = stackExpansion(
  'stack-expansion-under-read-lock',
  'May a stack grow under mmap_lock held for reading while others walk the tree under it?',
  false,
  { unsafe: /use after free/ },
)
