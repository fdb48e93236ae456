/*
 * What the parts of the driver share: the region, the control page that all processes of a list see, and
 * the giving of turns among them.
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
	int dirty[2];
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
