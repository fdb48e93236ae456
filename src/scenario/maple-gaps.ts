// Is a free range always found? Every inner node knows how long a free range lies below each of its children; a store that
// changes one must tell the ancestors. mmap chooses addresses by this.
import { scenario } from './scenario.ts'

/** CPU 0 and CPU 1 each free the only hole that there is in their leaf, and then look for one of that size. */
export const mapleGaps = scenario({
  name: 'maple-gaps',
  question: 'Is a hole found that another CPU has just made, and given to one CPU only?',
  asked: 'thread 003; mas_update_gap in lib/maple_tree.c',
  cpus: 2,
  archs: ['x86_64'],
  designs: ['mmap-lock'],
  setUp: async (stage) => {
    const { eraseAndPlace, fell, fill } = await stage.program<typeof import('./programs/maple.ts')>('maple')
    const tree = stage.words(4)
    const lock = tree + 2
    // Entries of 10 pages, without holes: page 0 to 299 is full.
    stage.now(
      1,
      stage.call('plant', () => fill(tree, 0, 29, 10, 10)),
    )
    return {
      after: [stage.call('fell', () => fell(tree))],
      calls: [
        [stage.call('erase(20), place 10 pages', () => eraseAndPlace(tree, lock, 20, 10, 299, 31))],
        [stage.call('erase(270), place 10 pages', () => eraseAndPlace(tree, lock, 270, 10, 299, 32))],
      ],
      check: ([cpu0, cpu1]) => {
        const [first, second] = [cpu0?.[0] as number, cpu1?.[0] as number]
        if (first < 0 || second < 0) return 'a hole was not found'
        return first === second ? 'a hole was given away twice' : ''
      },
    }
  },
  expect: 'safe',
  variants: [
    {
      name: 'gap-not-republished',
      wrong: 'a store in place does not tell the ancestors how long the longest free range is now',
      edits: [
        {
          file: 'vma/maple-store.ts',
          from: 'if ((was === 0) !== (entry === 0)) masUpdateGap(leaf, masLeafGap(leaf))',
          to: 'if (was < 0) masUpdateGap(leaf, masLeafGap(leaf))',
        },
      ],
      unsafe: /hole/,
    },
    {
      name: 'gap-told-to-the-parent-only',
      wrong: 'only filling a hole is told to the ancestors, not making one',
      edits: [{ file: 'vma/maple-store.ts', from: '(was === 0) !== (entry === 0)', to: 'was === 0' }],
      unsafe: /hole/,
    },
  ],
})

/** The same with holes beside what is erased, so that leaves are replaced. */
export const mapleGapsOfReplacedLeaves = scenario({
  name: 'maple-gaps-of-replaced-leaves',
  question: 'Does a leaf that takes the place of another one tell the ancestors its longest free range?',
  asked: 'thread 003; mas_update_gap in lib/maple_tree.c',
  cpus: 2,
  archs: ['x86_64'],
  designs: ['mmap-lock'],
  setUp: async (stage) => {
    const { eraseAndPlace, fell, fill } = await stage.program<typeof import('./programs/maple.ts')>('maple')
    const tree = stage.words(4)
    const lock = tree + 2
    // Entries of 8 pages with 2 free ones behind each: pages 0 to 299, no hole of more than 2.
    stage.now(
      1,
      stage.call('plant', () => fill(tree, 0, 29, 10, 8)),
    )
    return {
      after: [stage.call('fell', () => fell(tree))],
      calls: [
        [stage.call('erase(20), place 10 pages', () => eraseAndPlace(tree, lock, 20, 10, 299, 31))],
        [stage.call('erase(270), place 10 pages', () => eraseAndPlace(tree, lock, 270, 10, 299, 32))],
      ],
      check: ([cpu0, cpu1]) => {
        const [first, second] = [cpu0?.[0] as number, cpu1?.[0] as number]
        if (first < 0 || second < 0) return 'a hole was not found'
        return Math.abs(first - second) < 10 ? 'a hole was given away twice' : ''
      },
    }
  },
  expect: 'safe',
  variants: [
    {
      name: 'gap-not-republished',
      wrong: 'a leaf that replaces another one does not tell the ancestors its longest free range',
      edits: [{ file: 'vma/maple-replace.ts', from: '    masUpdateGap(node, gap)\n', to: '' }],
      unsafe: /hole/,
    },
  ],
})
