// Two address spaces map one file: what one of them does to a page's counts is not under any lock of the other.
import { SHARED } from './runner/calls.ts'
import { scenario } from './scenario.ts'

/** CPU 0 faults on a page of a file; CPU 1 ends another address space that maps the same page. */
export const fileFaultVsExit = scenario({
  name: 'file-fault-vs-exit',
  question: 'May an address space end while another one faults on a page of a file that both map?',
  asked: 'field: folio_add_file_rmap and folio_remove_rmap_pte, atomic counts because page-table locks differ; exit_mmap',
  cpus: 2,
  archs: ['x86_64'],
  setUp: (stage) => {
    const mm = stage.newMm([0])
    const other = stage.newMm([1])
    const page = stage.table(4)
    const file = stage.file(2)
    for (const [cpu, one] of [mm, other].entries()) {
      stage.now(cpu, one.mmap(page, 2, SHARED, file))
      stage.now(cpu, one.read(page + 1 - cpu))
    }
    stage.now(1, { text: 'exec()', begin: () => stage.kernel.sysSwitchMm(0) })
    stage.now(0, file.close)
    return { calls: [[mm.write(page, 7)], [other.exit()]] }
  },
  expect: 'safe',
  variants: [
    {
      name: 'mappings-counted-in-two-steps',
      wrong: 'the count of mappings is read and then written',
      edits: [
        {
          file: 'memory/rmap.ts',
          from: '  atomicAdd(page + Page.mapcount, 1)',
          to: '  writeOnce(page + Page.mapcount, readOnce(page + Page.mapcount) + 1)',
        },
        { file: 'memory/rmap.ts', from: 'readOnce, store }', to: 'readOnce, store, writeOnce }' },
      ],
      unsafe: /map count|bad page/,
    },
    {
      name: 'references-counted-in-two-steps',
      wrong: 'the count of references is read and then written',
      edits: [
        {
          file: 'memory/rmap.ts',
          from: '  atomicAdd(page + Page.refcount, 1)',
          to: '  writeOnce(page + Page.refcount, readOnce(page + Page.refcount) + 1)',
        },
        { file: 'memory/rmap.ts', from: 'readOnce, store }', to: 'readOnce, store, writeOnce }' },
      ],
      unsafe: /reference count|leak|freed/,
    },
    {
      name: 'unmapped-uncounted',
      wrong: 'an entry that goes is not counted off its page',
      edits: [
        { file: 'pagetable/zap.ts', from: '  removeRmap(page)\n', to: '' },
        { file: 'pagetable/zap.ts', from: 'pageAnon, removeRmap }', to: 'pageAnon }' },
      ],
      unsafe: /map count|bad page/,
    },
  ],
})
