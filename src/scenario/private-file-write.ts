// A private mapping of a file shows the file's own pages until it is written to; then it gets copies, and the file stays as it is.
import { READ_WRITE, SHARED } from './runner/calls.ts'
import { type Scenario, scenario, type Variant } from './scenario.ts'

const TAKES_THE_FILES_PAGE: Variant = {
  name: 'takes-the-files-page',
  wrong: 'a page of the file that nobody else has a reference to is written in place',
  edits: [
    { file: 'fault/copy-on-write.ts', from: '  if (!pageAnon(page)) return false\n', to: '' },
    { file: 'fault/copy-on-write.ts', from: '  return pageRefs(page) === 1\n', to: '  return pageRefs(page) <= 2\n' },
  ],
  unsafe: /no order of the calls/,
}

/** CPU 0 writes to a page of a private mapping that shows the file's page so far; CPU 1 reads it. A shared mapping shows the file. */
export const privateFileWriteVsReader = scenario({
  name: 'private-file-write-vs-reader',
  question: 'What does a thread read from a private page of a file while another one’s write copies it?',
  asked: 'field: do_wp_page and wp_page_copy of a page-cache page: counters move from file to anonymous',
  cpus: 2,
  archs: ['x86_64'],
  setUp: (stage) => {
    const mm = stage.newMm()
    const page = stage.table(4)
    const file = stage.file(1, true)
    stage.now(0, mm.mmap(page, 1, READ_WRITE, file))
    stage.now(0, mm.mmap(page + 2, 1, SHARED, file))
    stage.now(0, mm.read(page))
    return { calls: [[mm.write(page, 9)], [mm.read(page)]] }
  },
  expect: 'safe',
  variants: [
    TAKES_THE_FILES_PAGE,
    {
      name: 'counted-as-before',
      wrong: 'a copy of a page of a file is not counted as anonymous',
      edits: [
        {
          file: 'fault/copy-on-write.ts',
          from: '    if (!pageAnon(page)) {\n',
          to: '    if (page === 0) {\n',
        },
      ],
      unsafe: /counters of mm/,
    },
  ],
})

/** CPU 0 writes first thing to a private page of a file; CPU 1 reads it, and so maps the file's own page. */
export const privateFileWriteVsRead = scenario({
  name: 'private-file-write-vs-read',
  question: 'May a first write to a private page of a file race a read that maps the file’s own page?',
  asked: 'field: do_cow_fault beside do_read_fault, pte_none under the page-table lock',
  cpus: 2,
  archs: ['x86_64'],
  setUp: (stage) => {
    const mm = stage.newMm()
    const page = stage.table(4)
    stage.now(0, mm.mmap(page, 2, READ_WRITE, stage.file(2)))
    stage.now(0, mm.write(page + 1, 1))
    // The page is in the cache already.
    stage.now(0, mm.read(page))
    stage.now(0, mm.dontneed(page, 1))
    return { calls: [[mm.write(page, 9)], [mm.read(page)]] }
  },
  expect: 'safe',
  variants: [
    {
      name: 'copy-over-the-files-page',
      wrong: 'the copy is mapped over whatever is there by now',
      edits: [
        {
          file: 'fault/anonymous.ts',
          from: '  const mine = pteNone(ptepGet(ptep))\n',
          to: '  const mine = true\n',
        },
      ],
      unsafe: /counters of mm|map count|leak/,
    },
    {
      name: 'files-page-kept',
      wrong: 'the reference to the page that was copied is not given back',
      edits: [{ file: 'fault/file.ts', from: '  putPage(page)\n  return installAnonPage', to: '  return installAnonPage' }],
      unsafe: /leak/,
    },
  ],
})

/** CPU 0 gets its own copy of a file's page that CPU 1 writes to through a shared mapping. */
function writeVsSharedWrite(name: string, question: string, mapped: boolean): Scenario {
  return scenario({
    name,
    question,
    asked: 'field: copy_user_highpage of a page that other mappings may write to: what is copied is old or new, word by word',
    cpus: 2,
    archs: ['x86_64'],
    setUp: (stage) => {
      const mm = stage.newMm()
      const page = stage.table(4)
      const file = stage.file(2)
      stage.now(0, mm.mmap(page, 2, READ_WRITE, file))
      stage.now(0, mm.mmap(page + 2, 1, SHARED, file))
      stage.now(0, mm.write(page + 1, 1))
      stage.now(0, mm.write(page + 2, 3))
      if (mapped) stage.now(0, mm.read(page))
      return { calls: [[mm.write(page, 9)], [mm.write(page + 2, 8)]] }
    },
    expect: 'safe',
  })
}

export const firstPrivateWriteVsSharedWrite = writeVsSharedWrite(
  'first-private-write-vs-shared-write',
  'May a first write to a private page of a file copy it while somebody writes to the file’s own page?',
  false,
)

export const privateWriteVsSharedWrite = writeVsSharedWrite(
  'private-write-vs-shared-write',
  'May a write to a private page that shows the file’s own page copy that one while somebody writes to it?',
  true,
)
