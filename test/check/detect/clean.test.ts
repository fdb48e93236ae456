// The kernel as it is, with every detector on: small scenarios on every architecture and design under random schedules, torn
// down at the end. Nothing may be reported: a detector that cries wolf is as useless as one that sleeps.
import { describe, expect, it } from 'vitest'
import type { CallDescription } from '../../../src/check/detect/index.ts'
import { openTree, type Task } from '../../../src/check/index.ts'
import { pairs } from '../../combinations.ts'
import { look, type Scene, scene } from './kernel-scenes.ts'

const EXECUTIONS = Number(process.env.GRACEWALK_CLEAN ?? 15)
type Case = [name: string, second: (here: Scene) => Task, description: (mm: number, start: number) => CallDescription]

const CASES: Case[] = [
  [
    'munmap',
    ({ kernel, mm, page }) =>
      () =>
        kernel.sysMunmap(mm, page, 2),
    (mm, start) => ({ name: 'munmap', mm, start, pages: 2 }),
  ],
  [
    'mprotect',
    ({ kernel, mm, page }) =>
      () =>
        kernel.sysMprotect(mm, page, 2, 1),
    (mm, start) => ({ name: 'mprotect', mm, start, pages: 2, prot: 1 }),
  ],
  [
    'madvise',
    ({ kernel, mm, page }) =>
      () =>
        kernel.sysMadvise(mm, page, 2, 4),
    (mm, start) => ({ name: 'madvise', mm, start, pages: 2 }),
  ],
  [
    'mremap',
    ({ kernel, mm, page }) =>
      () =>
        kernel.sysMremap(mm, page, 2, 2, 3, page - 8),
    (mm, start) => ({ name: 'mremap', mm, start, pages: 2, target: start - 8 }),
  ],
  [
    'fork',
    ({ kernel, mm }) =>
      () =>
        kernel.sysFork(mm),
    (mm) => ({ name: 'fork', mm, start: 0, pages: 0 }),
  ],
  ['fault', ({ touch, page }) => touch(page + 1), (mm, start) => ({ name: 'write', mm, start: start + 1, pages: 1 })],
  [
    'read of smaps',
    ({ kernel, mm, page }) =>
      () =>
        kernel.sysSmaps(mm, page, page + 4, 1),
    (mm, start) => ({ name: 'smaps', mm, start, pages: 4 }),
  ],
  [
    'mmap over it',
    ({ kernel, mm, page }) =>
      () =>
        kernel.sysMmap(mm, page, 1, 3, 1, 0, 0),
    (mm, start) => ({ name: 'mmap', mm, start, pages: 1, placement: 1 }),
  ],
]

describe('every detector is silent about a fault beside', async () => {
  const tree = await openTree()
  for (const [design, arch] of pairs) {
    it.each(CASES)(`%s (${arch}, ${design})`, async (_name, second, description) => {
      const here = await scene(
        tree,
        arch,
        design,
        (mm, page) => [
          [
            { name: 'write', mm, start: page, pages: 1 },
            { name: 'read', mm, start: page, pages: 1 },
          ],
          [description(mm, page), { name: 'write', mm, start: page + 3, pages: 1 }],
        ],
        {},
      )
      const { touch, page } = here
      expect(
        look(
          here,
          [
            [touch(page), touch(page, false)],
            [second(here), touch(page + 3)],
          ],
          EXECUTIONS,
        ),
      ).toBe('')
    })
  }
})
