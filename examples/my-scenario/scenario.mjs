// Scenarios of one's own: may two CPUs make a table that each of them found missing? Run them with
//
//   npx gracewalk check --file examples/my-scenario/scenario.mjs
import { scenario } from 'gracewalk/check'

const ONCE = new URL('./once.ts', import.meta.url)

/** Two CPUs get the table with `get`, one of the functions of once.ts. */
function twoGet(name, get, expect) {
  return scenario({
    name,
    question: 'May two CPUs make a table that each of them found missing?',
    asked: 'pte_alloc(): the lock is taken and pmd_none() asked again',
    cpus: 2,
    archs: ['x86_64'],
    designs: ['mmap-lock'],
    setUp: async (stage) => {
      const program = await stage.program(ONCE)
      const slot = stage.words(4)
      const call = stage.call('get the table', () => program[get](slot))
      return {
        calls: [[call], [call]],
        labels: new Map(['lock', 'there', 'content', 'made'].map((field, i) => [slot + i, field])),
        check: (results) => {
          if (results.flat().some((content) => content !== 7)) return 'somebody got a table without its content'
          return stage.machine.words[slot + 3] === 1 ? '' : 'the table was made twice'
        },
      }
    },
    expect,
  })
}

export const tableMadeOnce = twoGet('table-made-once', 'get', 'safe')
export const tableWithoutRecheck = twoGet('table-without-recheck', 'getWithoutRecheck', { unsafe: /made twice/ })
export const tablePublishedEarly = twoGet('table-published-early', 'getPublishedEarly', { unsafe: /without its content/ })
