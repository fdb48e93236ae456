// The one error that reading a recording may end with. Everything else that is odd about a file is counted
// in the ReadingReport and never thrown.

/** A recording cannot be used; the message is one complete sentence for the user. The command line exits with 2. */
export class TraceError extends Error {
  override name = 'TraceError'
}
