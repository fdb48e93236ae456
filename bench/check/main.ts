// `npm run bench:check [-- NAME…] [--matrix] [--markdown]`: the scenarios of the kernel first, because they are what users wait
// for; then litmus programs with known counts beside what GenMC and Nidhugg took; then what merging states and a second Worker
// bring. A wrong count or verdict fails; a missed speed is shown.
import { measureKnown, measureMerged } from './known.ts'
import { measureMatrix, measureOurs } from './ours.ts'
import { measureTwoJobs } from './two-jobs.ts'

const FLAGS = ['--matrix', '--markdown']

/** Runs the rows whose names contain one of `args`, or all, on the build at `dist`. Returns the exit code. */
export async function main(args: readonly string[], dist: string): Promise<number> {
  const unknown = args.find((arg) => arg.startsWith('-') && !FLAGS.includes(arg))
  if (unknown !== undefined) {
    console.error(`unknown option ${unknown}: there are ${FLAGS.join(' and ')}`)
    return 2
  }
  const names = args.filter((arg) => !FLAGS.includes(arg))
  const markdown = args.includes('--markdown')
  const onlyMatrix = names.length === 0 && args.includes('--matrix') && args.length === 1
  const wanted = (name: string): boolean => !onlyMatrix && (names.length === 0 || names.some((part) => name.includes(part)))
  let wrong = 0
  for (const measure of [measureOurs, measureKnown, measureMerged, measureTwoJobs]) wrong += await measure(dist, wanted, markdown)
  if (args.includes('--matrix')) wrong += await measureMatrix(dist, 2)
  return wrong === 0 ? 0 : 1
}
