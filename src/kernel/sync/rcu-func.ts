// The functions that `call_rcu` and `call_srcu` may name. A number, because the heap holds words; `softirq.ts` calls them.

/** Callback functions of deferred objects. */
export const RcuFunc = Object.freeze({
  mapleNode: 1,
  tableBatch: 2,
  vma: 3,
  tablePage: 4,
  tablePmd: 5,
  tablePud: 6,
  tableP4d: 7,
  tableFragment: 8,
  tableIncrements: 9,
  tableBitmap: 10,
  tableBitmapFixed: 11,
  tablePages: 12,
  tableHalf: 13,
  vmaAndFile: 16,
  mempolicy: 17,
  tableLowHalf: 18,
  tableHighHalf: 19,
})
