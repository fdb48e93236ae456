/*
 * Performs lists of memory-management operations on the running Linux kernel and reports, for each
 * operation, its result, the signal it raised and the mappings of one region. Reads text on stdin,
 * writes one line per operation on stdout; the format is described in operation.ts and README of this
 * directory. Every process of a list is a real process; process 0 is the driver itself.
 *
 * Outside the region every address is occupied, so that the only gaps the kernel can find are in it.
 * No libc allocation happens after start-up; children are forked with a bare clone().
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <linux/prctl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#define MADV_POPULATE_WRITE 23
#endif

#define PAGE 4096UL
#define BASE 0x100000000UL      /* low, so that the region's lines come first in /proc/self/maps */
#define TASK_END 0x7ffffffff000UL
#define MAX_PROCESS 8
#define MAX_OBJECT 4096
#define N_FILES 5

struct op {
	char kind;
	int process, arg_count;
	int64_t arg[6];
};

/* Shared by all processes of the driver; only the one whose turn it is touches it. */
struct control {
	_Atomic uint32_t turn;              /* which process may run */
	int child_pid;                      /* the pid a fork made */
	struct op op;
	int object_count;                   /* shared anonymous objects seen in this list */
	uint64_t object[MAX_OBJECT];
	int dirty[N_FILES];
	int answer_length;
	char answer[1 << 17];
};

static struct control *ctl;
static uint64_t region_pages = 64, brk_start;
static int me;                              /* this process's number */
static int maps_fd = -1;
static int file_fd[N_FILES];                /* what the list calls file 0..4 */
static uint64_t file_inode[2];              /* the two inodes behind them */
static const uint64_t file_size[2] = { 20 * PAGE + 100, 10 * PAGE };
static pid_t child_pid[MAX_PROCESS];
static sigjmp_buf fault_return;
static volatile int fault_signal, fault_code;
static volatile uint64_t fault_address;
static char last_maps[1 << 16];             /* what this process last reported */
static int can_brk;
static struct prctl_mm_map mm_map;

static void die(const char *what)
{
	char text[200];
	int n = snprintf(text, sizeof text, "driver: %s: %s\n", what, strerror(errno));

	if (write(2, text, n) < 0)
		_exit(3);
	_exit(3);
}

static void on_fault(int signal, siginfo_t *info, void *context)
{
	(void)context;
	fault_signal = signal;
	fault_code = info->si_code;
	fault_address = (uint64_t)info->si_addr;
	siglongjmp(fault_return, 1);
}

/* ---- turns ------------------------------------------------------------------------------- */

static void wait_for_turn(void)
{
	struct timespec limit = { 20, 0 };

	for (;;) {
		uint32_t now = ctl->turn;

		if (now == (uint32_t)me)
			return;
		if (syscall(SYS_futex, &ctl->turn, FUTEX_WAIT, now, &limit, NULL, 0) < 0 && errno == ETIMEDOUT && me == 0)
			die("a process of the list did not answer");
	}
}

static void give_turn(int process)
{
	ctl->turn = process;
	syscall(SYS_futex, &ctl->turn, FUTEX_WAKE, MAX_PROCESS, NULL, NULL, 0);
}

/* ---- answers ----------------------------------------------------------------------------- */

static void put(const char *text)
{
	int n = strlen(text);

	if (ctl->answer_length + n >= (int)sizeof ctl->answer)
		die("answer too long");
	memcpy(ctl->answer + ctl->answer_length, text, n + 1);
	ctl->answer_length += n;
}

static char *number(char *at, int64_t value)
{
	char digits[24];
	int n = 0;
	uint64_t v = value < 0 ? -(uint64_t)value : (uint64_t)value;

	if (value < 0)
		*at++ = '-';
	do
		digits[n++] = '0' + v % 10;
	while (v /= 10);
	while (n)
		*at++ = digits[--n];
	*at = 0;
	return at;
}

static int object_number(uint64_t inode)
{
	for (int i = 0; i < ctl->object_count; i++)
		if (ctl->object[i] == inode)
			return i;
	if (ctl->object_count == MAX_OBJECT)
		die("too many shared objects");
	ctl->object[ctl->object_count] = inode;
	return ctl->object_count++;
}

static uint64_t hex(const char **at)
{
	uint64_t v = 0;

	for (;; (*at)++) {
		char c = **at;

		if (c >= '0' && c <= '9')
			v = v << 4 | (c - '0');
		else if (c >= 'a' && c <= 'f')
			v = v << 4 | (c - 'a' + 10);
		else
			return v;
	}
}

/* Appends " | start,end,rwxp,offset,object ..." in pages, or " ~" when nothing changed since last time. */
static void put_maps(void)
{
	static char text[1 << 17];
	static char now[sizeof last_maps];
	char *out = now;
	int have = 0, done = 0;

	*out = 0;
	if (lseek(maps_fd, 0, SEEK_SET) < 0)
		die("lseek maps");
	for (const char *line = text; !done;) {
		const char *end = memchr(line, '\n', text + have - line);

		if (!end) {
			ssize_t n = read(maps_fd, text + have, sizeof text - 1 - have);

			if (n <= 0)
				break;
			have += n;
			text[have] = 0;
			continue;
		}
		const char *at = line;
		uint64_t from = hex(&at), to, offset, inode = 0;

		at++;
		to = hex(&at);
		if (from >= BASE + region_pages * PAGE)
			break;
		if (to > BASE) {
			const char *perms = ++at;

			at += 5;
			offset = hex(&at);
			for (at++; *at != ' '; at++)    /* device */
				;
			for (at++; *at >= '0' && *at <= '9'; at++)
				inode = inode * 10 + (*at - '0');
			if (out - now > (int)sizeof now - 100)
				die("maps too long");
			*out++ = ' ';
			out = number(out, (int64_t)(from - BASE) / (int64_t)PAGE);
			*out++ = ',';
			out = number(out, (int64_t)(to - BASE) / (int64_t)PAGE);
			*out++ = ',';
			memcpy(out, perms, 4);
			out += 4;
			*out++ = ',';
			out = number(out, offset / PAGE);
			*out++ = ',';
			if (!inode) {
				*out++ = '-';
			} else if (inode == file_inode[0] || inode == file_inode[1]) {
				*out++ = inode == file_inode[0] ? 'A' : 'B';
			} else {
				*out++ = 'z';
				out = number(out, object_number(inode));
			}
			*out = 0;
		}
		line = end + 1;
	}
	if (!strcmp(now, last_maps)) {
		put(" ~");
		return;
	}
	strcpy(last_maps, now);
	put(" |");
	put(now);
}

/* ---- operations -------------------------------------------------------------------------- */

static void open_maps(void)
{
	if (maps_fd >= 0)
		close(maps_fd);
	maps_fd = open("/proc/self/maps", O_RDONLY);
	if (maps_fd < 0)
		die("/proc/self/maps");
}

static void serve(void);

static int64_t do_fork(int child)
{
	long pid = syscall(SYS_clone, (me ? CLONE_PARENT : 0) | SIGCHLD, NULL, NULL, NULL, NULL);

	if (pid < 0)
		return -errno;
	if (pid == 0) {
		me = child;
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		open_maps();
		serve();
	}
	ctl->child_pid = pid;
	return 0;
}

/* The numbers of a list are relative to the region; -1 stands for NULL. */
static uint64_t address(int64_t relative)
{
	return relative == -1 ? 0 : BASE + relative;
}

static void answer_result(int64_t result, int is_address)
{
	char text[32];

	if (result < 0)
		result = -errno;
	else if (is_address)
		result -= BASE;
	number(text, result);
	put(text);
}

static void perform(struct op *op)
{
	int64_t *a = op->arg;
	char text[100], *at = text;

	ctl->answer_length = 0;
	ctl->answer[0] = 0;
	fault_signal = 0;
	if (sigsetjmp(fault_return, 0)) {
		*at++ = fault_signal == SIGBUS ? 'B' : 'S';
		at = number(at, fault_code);
		*at++ = '@';
		number(at, fault_address - BASE);
		put(text);
	} else switch (op->kind) {
	case 'm': /* mmap addr len prot flags file offset */
		answer_result(syscall(SYS_mmap, address(a[0]), a[1], a[2], a[3],
			a[4] < 0 ? -1 : a[4] < N_FILES ? file_fd[a[4]] : 999, a[5]), 1);
		break;
	case 'u': /* munmap addr len */
		answer_result(syscall(SYS_munmap, address(a[0]), a[1]), 0);
		break;
	case 'p': /* mprotect addr len prot */
		answer_result(syscall(SYS_mprotect, address(a[0]), a[1], a[2]), 0);
		break;
	case 'a': /* madvise addr len advice */
		answer_result(syscall(SYS_madvise, address(a[0]), a[1], a[2]), 0);
		break;
	case 'r': /* mremap addr old_len new_len flags new_addr */
		answer_result(syscall(SYS_mremap, address(a[0]), a[1], a[2], a[3], address(a[4])), 1);
		break;
	case 'b': /* brk addr */
		answer_result(syscall(SYS_brk, address(a[0])), 1);
		break;
	case 'f': /* fork into process a[0] */
		answer_result(do_fork(a[0]), 0);
		break;
	case 'w': /* write addr stamp */
		*(volatile uint32_t *)address(a[0]) = a[1];
		put("0");
		break;
	case 'l': /* read addr */
		number(text, *(volatile uint32_t *)address(a[0]));
		put(text);
		break;
	case 'x': /* exit: the answer is given first */
		put("0 ~\n");
		return;
	default:
		errno = EINVAL;
		die("unknown operation");
	}
	put_maps();
	put("\n");
}

/* A child: performs what it is told when it has the turn. */
static void serve(void)
{
	for (;;) {
		wait_for_turn();
		int leaving = ctl->op.kind == 'x';

		perform(&ctl->op);
		if (leaving)
			_exit(0); /* process 0 waits for the exit and takes the turn back itself */
		give_turn(0);
	}
}

/* ---- start and reset --------------------------------------------------------------------- */

static int file_of(int n)
{
	return n < 3 ? 0 : 1;
}

static void fill_file(int inode)
{
	int fd = file_fd[inode ? 3 : 0];

	if (ftruncate(fd, 0) || ftruncate(fd, file_size[inode]))
		die("ftruncate");
	for (uint64_t page = 0; page * PAGE < file_size[inode]; page += 2) {
		uint32_t stamp = 0x70000000 + inode * 0x10000 + page;

		if (pwrite(fd, &stamp, 4, page * PAGE) != 4)
			die("pwrite");
	}
}

static int reopen(int fd, int flags)
{
	char path[64];

	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	fd = open(path, flags);
	if (fd < 0)
		die("reopen");
	return fd;
}

static void open_files(void)
{
	char path[64], line[256];

	file_fd[0] = memfd_create("gracewalk-a", 0);
	file_fd[3] = memfd_create("gracewalk-b", 0);
	if (file_fd[0] < 0 || file_fd[3] < 0)
		die("memfd_create");
	file_fd[1] = reopen(file_fd[0], O_RDWR);
	file_fd[2] = reopen(file_fd[0], O_RDONLY);
	file_fd[4] = reopen(file_fd[3], O_WRONLY);
	for (int i = 0; i < 2; i++) {
		fill_file(i);
		snprintf(path, sizeof path, "/proc/self/fdinfo/%d", file_fd[i ? 3 : 0]);
		FILE *info = fopen(path, "r");
		unsigned long inode = 0;

		while (info && fgets(line, sizeof line, info))
			sscanf(line, "ino: %lu", &inode);
		if (info)
			fclose(info);
		file_inode[i] = inode;
	}
}

/* Occupies every gap outside the region with mappings that merge with nothing a list can make. */
static void occupy(void)
{
	static uint64_t from[512], to[512];
	int n = 0;
	FILE *maps = fopen("/proc/self/maps", "r"), *min = fopen("/proc/sys/vm/mmap_min_addr", "r");
	unsigned long a, b, low = 4096;
	char line[512];

	if (!maps)
		die("/proc/self/maps");
	if (min && fscanf(min, "%lu", &low) != 1)
		low = 4096;
	if (min)
		fclose(min);
	if (low < 4096)
		low = 4096;
	while (fgets(line, sizeof line, maps))
		if (sscanf(line, "%lx-%lx", &a, &b) == 2 && a < TASK_END && n < 510)
			from[n] = a, to[n++] = b;
	fclose(maps);
	from[n] = to[n] = TASK_END;
	n++;
	uint64_t at = low, region_end = BASE + region_pages * PAGE;

	for (int i = 0; i < n; i++) {
		while (at < from[i]) {
			uint64_t stop = from[i];

			if (at < BASE && stop > BASE)
				stop = BASE;
			else if (at >= BASE && at < region_end) {
				if (stop < region_end) {
					errno = EEXIST;
					die("the region is not free");
				}
				at = region_end;
				continue;
			}
			if (mmap((void *)at, stop - at, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0) != (void *)at)
				die("cannot occupy the address space");
			if (madvise((void *)at, stop - at, MADV_DONTDUMP)) /* the flag that keeps it from merging */
				die("madvise");
			at = stop;
		}
		if (to[i] > at)
			at = to[i];
	}
}

/* Puts the program break at a place of the region, where the kernel lets us. */
static int set_break(void)
{
	if (!can_brk)
		return 0;
	return prctl(PR_SET_MM, PR_SET_MM_MAP, &mm_map, sizeof mm_map, 0) == 0;
}

static void prepare_break(void)
{
	unsigned long v[60] = { 0 };
	char text[2048], *at;
	int fd = open("/proc/self/stat", O_RDONLY), n = read(fd, text, sizeof text - 1);

	close(fd);
	if (n <= 0)
		return;
	text[n] = 0;
	at = strrchr(text, ')') + 2;
	for (int field = 3; field < 60 && *at; field++) {
		v[field] = strtoul(at, &at, 10);
		while (*at && *at != ' ')
			at++;
		while (*at == ' ')
			at++;
	}
	mm_map = (struct prctl_mm_map){
		.start_code = v[26], .end_code = v[27], .start_data = 0x10000, .end_data = 0x20000,
		.start_brk = BASE + brk_start * PAGE, .brk = BASE + brk_start * PAGE, .start_stack = v[28],
		.arg_start = v[48], .arg_end = v[49], .env_start = v[50], .env_end = v[51], .exe_fd = -1,
	};
	can_brk = 1;
	can_brk = set_break();
}

static void reset(void)
{
	for (int i = 1; i < MAX_PROCESS; i++)
		if (child_pid[i]) {
			kill(child_pid[i], SIGKILL);
			waitpid(child_pid[i], NULL, 0);
			child_pid[i] = 0;
		}
	if (munmap((void *)BASE, region_pages * PAGE))
		die("munmap of the region");
	set_break();
	for (int i = 0; i < 2; i++)
		if (ctl->dirty[i]) {
			fill_file(i);
			ctl->dirty[i] = 0;
		}
	ctl->object_count = 0;
	last_maps[0] = 0;
}

static void grow_stack(void)
{
	volatile char room[512 * 1024];

	for (unsigned i = 0; i < sizeof room; i += PAGE)
		room[i] = 0;
}

/* ---- input and output -------------------------------------------------------------------- */

static char in[1 << 16], out[1 << 18];
static int in_at, in_end, out_length;

static void flush(void)
{
	for (int at = 0; at < out_length;) {
		ssize_t n = write(1, out + at, out_length - at);

		if (n <= 0)
			die("write");
		at += n;
	}
	out_length = 0;
}

static int next_char(void)
{
	if (in_at == in_end) {
		in_at = 0;
		in_end = read(0, in, sizeof in);
		if (in_end <= 0)
			return -1;
	}
	return in[in_at++];
}

static int read_op(struct op *op)
{
	int c;

	do
		c = next_char();
	while (c == '\n');
	if (c < 0)
		return 0;
	op->kind = c;
	op->arg_count = 0;
	int64_t values[7] = { 0 };
	int n = 0;

	c = next_char();
	while (c == ' ') {
		int negative = 0;
		int64_t v = 0;

		c = next_char();
		if (c == '-') {
			negative = 1;
			c = next_char();
		}
		for (; c >= '0' && c <= '9'; c = next_char())
			v = v * 10 + (c - '0');
		if (n < 7)
			values[n++] = negative ? -v : v;
	}
	op->process = values[0];
	op->arg_count = n - 1;
	memcpy(op->arg, values + 1, sizeof op->arg);
	return 1;
}

static void emit(const char *text, int n)
{
	if (out_length + n > (int)sizeof out)
		flush();
	memcpy(out + out_length, text, n);
	out_length += n;
}

int main(int argc, char **argv)
{
	struct op op;
	char text[200];

	if (argc > 1)
		region_pages = strtoul(argv[1], NULL, 10);
	brk_start = argc > 2 ? strtoul(argv[2], NULL, 10) : region_pages / 2;
	if (prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0))
		die("PR_SET_THP_DISABLE");
	grow_stack();
	ctl = mmap(NULL, sizeof *ctl, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (ctl == MAP_FAILED)
		die("mmap");
	open_files();
	open_maps();
	prepare_break();
	occupy();
	struct sigaction action = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_NODEFER };

	sigaction(SIGSEGV, &action, NULL);
	sigaction(SIGBUS, &action, NULL);
	void *probe = mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (probe != (void *)(BASE + (region_pages - 1) * PAGE))
		die("the region is not the only gap");
	munmap(probe, PAGE);
	int n = snprintf(text, sizeof text, "ready pages=%lu brk=%d\n", (unsigned long)region_pages, can_brk);

	emit(text, n);
	flush();
	reset();
	while (read_op(&op)) {
		if (op.kind == 'E') { /* end of a list */
			reset();
			emit(".\n", 2);
			flush();
			continue;
		}
		if (op.kind == 'w')
			ctl->dirty[0] = ctl->dirty[1] = 1;
		if (op.kind == 'm' && op.arg[4] >= 0 && op.arg[4] < N_FILES)
			ctl->dirty[file_of(op.arg[4])] |= 0;
		if (op.process == 0) {
			perform(&op);
		} else {
			if (op.process < 0 || op.process >= MAX_PROCESS || !child_pid[op.process]) {
				emit("? no such process\n", 18);
				continue;
			}
			ctl->op = op;
			give_turn(op.process);
			if (op.kind == 'x') {
				waitpid(child_pid[op.process], NULL, 0);
				child_pid[op.process] = 0;
				ctl->turn = 0;
			} else {
				wait_for_turn();
			}
		}
		if (op.kind == 'f' && ctl->answer[0] == '0')
			child_pid[op.arg[0]] = ctl->child_pid;
		emit(ctl->answer, ctl->answer_length);
	}
	flush();
	return 0;
}
