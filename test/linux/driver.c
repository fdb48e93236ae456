/*
 * Performs lists of memory-management operations on the running Linux kernel and reports, for each
 * operation, its result, the signal it raised and the mappings of one region. Reads text on stdin, writes
 * one line per operation on stdout; README.md has the format. Every process of a list is a real process;
 * process 0 is the driver itself.
 *
 * Outside the region every address is occupied, so that the only gaps the kernel can find are in it.
 * No libc allocation happens after start-up; children are forked with a bare clone().
 */
#include "driver_state.h"
#include "driver_maps.h"
#include "driver_setup.h"

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
	char text[100];

	ctl->answer_length = 0;
	ctl->answer[0] = 0;
	fault_signal = 0;
	if (sigsetjmp(fault_return, 0)) {
		char *at = text;

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
		if (op.kind == 'w') /* perhaps through a shared file mapping */
			ctl->dirty[0] = ctl->dirty[1] = 1;
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
