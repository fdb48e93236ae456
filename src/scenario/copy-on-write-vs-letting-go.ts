// While a page is copied no lock is held and every entry that maps it may go: the copier's own reference must keep it.
import { scenario } from './scenario.ts'

/** CPU 0 copies a page on write; CPU 1 takes it out of both address spaces that have it. */
export const copyOnWriteVsLettingGo = scenario({
  name: 'copy-on-write-vs-letting-go',
  question: 'May everybody let go of a page while a write fault copies it?',
  asked: 'field: do_wp_page, folio_get before the page-table lock is dropped',
  cpus: 2,
  usually: { designs: ['vma-lock'] },
  setUp: (stage) => {
    const mm = stage.newMm()
    const page = stage.table(4)
    stage.now(0, mm.mmap(page, 1))
    stage.now(0, mm.write(page, 3))
    const child = stage.callsOn(stage.now(0, mm.fork()), [])
    return { calls: [[mm.write(page, 9)], [mm.dontneed(page, 1), child.dontneed(page, 1)]] }
  },
  expect: 'safe',
  variants: [
    {
      name: 'no-reference',
      wrong: 'the copier takes no reference to the page that it copies',
      edits: [
        { file: 'fault/copy-on-write.ts', from: '  if (!special) getPage(page)\n', to: '' },
        { file: 'fault/copy-on-write.ts', from: '  if (!special) putPage(page)\n  return result', to: '  return result' },
      ],
      unsafe: /use after free: CPU 0|poisonFrame .* is not ordered with a plain load/,
    },
  ],
})
