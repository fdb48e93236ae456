// Linux's error numbers, as far as the manager returns them (negated).

/** errno values. */
export const Errno = Object.freeze({ EPERM: 1, EAGAIN: 11, ENOMEM: 12, EACCES: 13, EFAULT: 14, EBUSY: 16, EEXIST: 17, EINVAL: 22 })
