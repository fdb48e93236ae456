// Numbers as people read them in a table: three significant digits, units in the header.

/** A count with thousands apart: `1 234 567`. */
export function count(value: number): string {
  return Math.round(value)
    .toString()
    .replace(/\B(?=(\d{3})+$)/g, ' ')
}

/** Three significant digits, `k` and `M` from a thousand and a million on; `-` for no number. */
export function short(value: number): string {
  if (!Number.isFinite(value)) return '-'
  if (value >= 999_500) return `${digits(value / 1e6)}M`
  if (value >= 999.5) return `${digits(value / 1000)}k`
  return digits(value)
}

function digits(value: number): string {
  if (value === 0) return '0'
  if (value >= 99.95) return value.toFixed(0)
  return value >= 9.995 ? value.toFixed(1) : value.toFixed(2)
}

/** Nanoseconds as milliseconds. */
export function ms(ns: number): string {
  return short(ns / 1e6)
}

/** Nanoseconds as microseconds. */
export function us(ns: number): string {
  return short(ns / 1000)
}

/** A ratio: `1.08×`. */
export function times(ratio: number): string {
  return Number.isFinite(ratio) ? `${ratio.toFixed(2)}×` : '-'
}

/** Bytes: `64 KiB`, `1.5 GiB`. */
export function bytes(value: number): string {
  for (const [unit, size] of [
    ['GiB', 2 ** 30],
    ['MiB', 2 ** 20],
    ['KiB', 2 ** 10],
  ] as const) {
    if (value >= size) return `${Number((value / size).toFixed(1))} ${unit}`
  }
  return `${value} B`
}

/** One or many. */
export function plural(value: number, one: string, many = `${one}s`): string {
  return `${count(value)} ${value === 1 ? one : many}`
}
