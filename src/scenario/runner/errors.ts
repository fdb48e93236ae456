// What an author of a scenario, or whoever asks for one, got wrong.

/** Something about a scenario, a combination or a file does not fit. */
export class ScenarioError extends Error {
  override readonly name = 'ScenarioError'
}
