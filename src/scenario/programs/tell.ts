// Calls that say when they come: a word tells whether what another CPU did was over.
import { userStore } from '../../kernel/fault/user-access.ts'
import { readOnce, writeOnce } from '../../kernel/machine/instructions.ts'

/** Says at `word` that what this CPU did before is over. */
export function tell(word: number): number {
  writeOnce(word, 1)
  return 0
}

/** Notes at `word` + 1 whether `tell` has come, then writes `value` into page `vpn` as the user does. Returns what `userStore` does. */
export function noteAndWrite(word: number, vpn: number, value: number): number {
  writeOnce(word + 1, readOnce(word))
  return userStore(vpn, 0, value)
}
