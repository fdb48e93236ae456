// Structure declarations: named fields become word offsets, so that no kernel code indexes by a bare number.

/** The offsets of a structure's fields in words, with the whole size in `size`. */
export type Layout<F extends string> = { readonly [K in F]: number } & { readonly size: number }

/**
 * Declares a structure. Each field gives its length in words, or `{ at: 'field' }` to lie over an earlier field
 * (Linux's unions: `rcu_head` over `lru`).
 *
 * @example
 * const ListHead = struct({ next: 1, prev: 1 })
 * load(p + ListHead.prev)
 */
export function struct<F extends string>(fields: { readonly [K in F]: number | { readonly at: NoInfer<F> } }): Layout<F> {
  const layout: Record<string, number> = {}
  let size = 0
  for (const [name, field] of Object.entries(fields) as [F, number | { at: F }][]) {
    if (typeof field === 'number') {
      layout[name] = size
      size += field
    } else {
      const over = layout[field.at]
      if (over === undefined) throw new Error(`struct: field '${name}' lies over '${field.at}', which is not declared before it`)
      layout[name] = over
    }
  }
  layout.size = size
  // A copy in one go: an object to which many properties were added one by one is a hash table to V8.
  return Object.freeze({ ...layout }) as Layout<F>
}
