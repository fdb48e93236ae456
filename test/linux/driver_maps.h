/*
 * The driver's answers as text, and the region's lines of /proc/self/maps in them.
 */
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
