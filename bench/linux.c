/*
 * The loops of bench/loops.ts on the kernel underneath: linux NAME THREADS MILLISECONDS MEGABYTES
 * Prints one line per thread: operations, nanoseconds of wall time, nanoseconds of CPU time. The loops do what those of the
 * same name in will-it-scale do, in our own words; files are memfds, so that no disk takes part; huge pages are off.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#define CHECK_EVERY 64

struct thread {
	pthread_t id;
	int number;
	int fd;
	long operations;
	long wall, cpu;
};

static const char *name;
static int threads;
static long limit; /* nanoseconds */
static size_t size, page;
static char *heap;
static atomic_int arrived, stop;

static long now(clockid_t clock)
{
	struct timespec t;
	clock_gettime(clock, &t);
	return t.tv_sec * 1000000000L + t.tv_nsec;
}

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static char *map(size_t length, int flags, int fd)
{
	char *p = mmap(NULL, length, PROT_READ | PROT_WRITE, flags, fd, 0);
	if (p == MAP_FAILED)
		die("mmap");
	return p;
}

/* Each loop performs one whole cycle and returns its operations, or fewer once `stop` is set. */

static long touch(int flags, int fd)
{
	volatile char *p = map(size, flags, fd);
	long done = 0;
	for (size_t at = 0; at < size; at += page) {
		p[at] = 0;
		if (++done % CHECK_EVERY == 0 && stop)
			break;
	}
	munmap((char *)p, size);
	return done;
}

static long flush(size_t length, int flags, int fd)
{
	volatile char *p = map(length, flags, fd);
	long done = 0;
	for (size_t at = 0; at < length; at += page) {
		p[at] = 1;
		madvise((char *)p + at, page, MADV_DONTNEED);
		if (p[at] != ((flags & MAP_SHARED) != 0))
			die("wrong contents");
		if (++done % CHECK_EVERY == 0 && stop)
			break;
	}
	munmap((char *)p, length);
	return done;
}

static long mapOnly(void)
{
	for (int i = 0; i < CHECK_EVERY; i++)
		munmap(map(size, MAP_PRIVATE | MAP_ANONYMOUS, -1), size);
	return CHECK_EVERY;
}

static long mapTouch(void)
{
	for (int i = 0; i < CHECK_EVERY; i++) {
		volatile char *p = map(page, MAP_PRIVATE | MAP_ANONYMOUS, -1);
		p[0] = 0;
		munmap((char *)p, page);
	}
	return CHECK_EVERY;
}

/* Sums over a small array: nothing shared, nothing beyond the first-level cache. */
static long additions(void)
{
	static __thread unsigned numbers[4096];
	unsigned sum = 0;

	for (int i = 0; i < 4096; i++) {
		sum += numbers[i] * 3;
		*(volatile unsigned *)&numbers[i] = sum;
	}
	return 4096;
}

static long heapLoop(void)
{
	for (int i = 0; i < CHECK_EVERY; i++) {
		brk(heap + page);
		brk(heap);
	}
	return 2 * CHECK_EVERY;
}

static long cycle(struct thread *t)
{
	if (!strcmp(name, "page_fault1"))
		return touch(MAP_PRIVATE | MAP_ANONYMOUS, -1);
	if (!strcmp(name, "page_fault2"))
		return touch(MAP_PRIVATE, t->fd);
	if (!strcmp(name, "page_fault3"))
		return touch(MAP_SHARED, t->fd);
	if (!strcmp(name, "mmap1"))
		return mapOnly();
	if (!strcmp(name, "mmap_touch_munmap"))
		return mapTouch();
	if (!strcmp(name, "brk1"))
		return heapLoop();
	if (!strcmp(name, "tlb_flush1"))
		return flush(size, MAP_PRIVATE, t->fd);
	if (!strcmp(name, "tlb_flush2"))
		return flush(1 << 20, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	if (!strcmp(name, "arithmetic"))
		return additions();
	if (!strcmp(name, "tlb_flush3"))
		return flush(size, MAP_SHARED, t->fd);
	fprintf(stderr, "no loop '%s'\n", name);
	exit(2);
}

static void *run(void *argument)
{
	struct thread *t = argument;
	cpu_set_t set;
	CPU_ZERO(&set);
	CPU_SET(t->number, &set);
	pthread_setaffinity_np(pthread_self(), sizeof set, &set);
	/* Not timed: the file's pages and the allocator's lists are warm, as ours are. */
	cycle(t);
	atomic_fetch_add(&arrived, 1);
	while (arrived < threads)
		;
	long wall = now(CLOCK_MONOTONIC), cpu = now(CLOCK_THREAD_CPUTIME_ID);
	do {
		t->operations += cycle(t);
		if (now(CLOCK_MONOTONIC) - wall >= limit)
			stop = 1;
	} while (!stop);
	t->wall = now(CLOCK_MONOTONIC) - wall;
	t->cpu = now(CLOCK_THREAD_CPUTIME_ID) - cpu;
	return NULL;
}

int main(int argc, char **argv)
{
	if (argc != 5) {
		fprintf(stderr, "usage: linux NAME THREADS MILLISECONDS MEGABYTES\n");
		return 2;
	}
	name = argv[1];
	threads = atoi(argv[2]);
	limit = atol(argv[3]) * 1000000L;
	size = (size_t)atol(argv[4]) << 20;
	page = sysconf(_SC_PAGESIZE);
	if (prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0))
		die("PR_SET_THP_DISABLE");
	struct thread *all = calloc(threads, sizeof *all);
	for (int i = 0; i < threads; i++) {
		all[i].number = i;
		all[i].fd = memfd_create("bench", 0);
		if (all[i].fd < 0 || ftruncate(all[i].fd, size))
			die("memfd");
	}
	heap = sbrk(0);
	/* A heap that exists, as the growing and shrinking of will-it-scale's presupposes. */
	heap = (char *)(((size_t)heap + 2 * page - 1) & -page);
	if (brk(heap))
		die("brk");
	for (int i = 0; i < threads; i++)
		if (pthread_create(&all[i].id, NULL, run, &all[i]))
			die("thread");
	for (int i = 0; i < threads; i++) {
		pthread_join(all[i].id, NULL);
		printf("%ld %ld %ld\n", all[i].operations, all[i].wall, all[i].cpu);
	}
	return 0;
}
