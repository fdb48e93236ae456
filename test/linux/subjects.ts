// Everything that can be compared with Linux by name: `npm run test:linux -- --subject NAME`.

import { KernelSubject } from '../conformance/kernel-subject.ts'
import type { Subject } from './operation.ts'
import { OracleSubject } from './oracle_subject.ts'

/** Makes a subject; it is closed after use. */
export const SUBJECTS: Readonly<Record<string, () => Subject | Promise<Subject>>> = {
  oracle: () => new OracleSubject(),
  'mmap-lock': () => new KernelSubject('mmap-lock'),
  'vma-lock': () => new KernelSubject('vma-lock'),
  'rcu-fault': () => new KernelSubject('rcu-fault'),
  speculative: () => new KernelSubject('speculative'),
}
