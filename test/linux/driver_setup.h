/*
 * Before the first list: the files, and an address space with no gap outside the region. Between lists:
 * everything back to the start.
 */
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
