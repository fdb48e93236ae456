// The few lines of a test that pin a violation.
import type { Path } from '../explore/index.ts'
import { patternOf, signatureOf } from './signature.ts'

/** What the test replays. */
export interface Pinned {
  readonly scenario: string
  readonly design: string
  readonly arch: string
  readonly freeing: string
  readonly index?: string
  readonly rcu?: string
  readonly tables?: string
  readonly path: Path
  readonly failure: string
  /** No single path shows it: there is nothing that a replay could pin. */
  readonly acrossExecutions?: boolean
}

/** The text of a test, for any runner that has `it` and `expect`, that fails once the violation does not happen any more. */
export function pinningTest(pinned: Pinned): string {
  const { scenario, design, arch, freeing, index = '', rcu = '', tables = '', path, failure, acrossExecutions = false } = pinned
  if (acrossExecutions) return '// Seen across executions: no single path shows it, so no replay can pin it.'
  const words = signatureOf(failure, null).replace(/^thrown: /, '')
  // A scenario of one's own stands in the place of its name, so that the variant is said apart.
  const [name = '', variant = ''] = scenario.split(':')
  const combination = Object.entries({ design, arch, freeing, index, rcu, tables, variant })
    .filter(([, value]) => value !== '')
    .map(([axis, value]) => `${axis}: ${quote(value)}`)
  return [
    "import { replayScenario } from 'gracewalk/check'",
    '',
    `it(${quote(`${scenario}: ${words || 'a violation'}`)}, async () => {`,
    `  const path = [${path.join(', ')}]`,
    `  expect(await replayScenario(${quote(name)}, { ${combination.join(', ')} }, path)).toMatch(/${patternOf(failure)}/)`,
    '})',
  ].join('\n')
}

function quote(text: string): string {
  return `'${text.replace(/[\\']/g, '\\$&').replace(/\n/g, '\\n')}'`
}
