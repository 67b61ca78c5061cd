/*
 * load: the guest's load generator, told what to do line by line on the virtio port `lab.ctl`.
 *
 * Every program here is a harmless stand-in with the resource footprint of a behavioural phase:
 * it works on files of its own making under /data and talks to the lab's sink, nothing else.
 * Three limits hold for all of them, and are checked here, not by the caller:
 *   - an address outside 10.77.0.1-9 cannot be dialled (dial() is the only way to a socket);
 *   - every parameter has an upper bound (the table `programs`, checked by set_key());
 *   - a program ends by itself after `seconds`, 600 at most (alarm() in become()).
 *
 *   ping TOKEN                  -> pong TOKEN MONO_NS
 *   seed N                      -> ok
 *   populate files=N mean_kb=K seed=S    -> ok
 *   start SLOT PROGRAM key=value ...     -> started SLOT MONO_NS
 *   stop SLOT                   -> stopped SLOT MONO_NS
 *   kill agent                  -> killed MONO_NS  (a fault of the field, see lab/fault.py)
 *   quit                        -> (the machine powers off)
 *   anything else               -> error TEXT
 *
 * `load programs` prints the table of programs, keys, defaults and bounds.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PORT "lab.ctl"
#define MAX_KEYS 20
#define MAX_FILES 2000
#define TREE "/data/tree"
#define DATABASE "/data/db/main.db"
#define DATABASE_KB 4096
#define TREE_KB (20 * 1024)
#define CHUNK (256 * 1024)

/* ------------------------------------------------------------------ parameters */

struct key {
	const char *name;
	double value, low, high;
};

/* Keys every program has. `on_s`/`off_s` switch it on and off; `cold` is the percentage of files
 * read from disk, not from the page cache: a stand-in for data larger than memory. */
static const struct key common[] = {
	{"seconds", 600, 1, 600}, {"jitter", 20, 0, 90}, {"on_s", 5, 0.1, 120},
	{"off_s", 0, 0, 120},     {"cold", 100, 0, 100}, {NULL, 0, 0, 0},
};

/* What the running program was given: its own keys, then the common ones. */
static struct key chosen[MAX_KEYS];

/* A name that is not in the table is a mistake in this file, never in the request. */
static double get(const char *name)
{
	for (struct key *k = chosen; k->name; k++)
		if (!strcmp(k->name, name))
			return k->value;
	abort();
}

/* ------------------------------------------------------------------ chance and time */

static uint64_t rng;

static uint64_t draw(void)
{
	uint64_t z = (rng += 0x9E3779B97F4A7C15ULL);
	z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
	z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
	return z ^ (z >> 31);
}

static double uniform(void)
{
	return (double)(draw() >> 11) / 9007199254740992.0;
}

static int below(int n)
{
	return (int)(uniform() * n);
}

static double jittered(double x)
{
	return x * (1 + get("jitter") / 100 * (2 * uniform() - 1));
}

static int64_t mono_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static double now_s(void)
{
	return (double)mono_ns() / 1e9;
}

static void nap(double seconds)
{
	struct timespec t = {(time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9)};
	if (seconds > 0)
		nanosleep(&t, NULL);
}

/* When the present on-period of this program ends, and whether it is over. */
static double rest_at;
static volatile int resting;

static void rest(void)
{
	double off = get("off_s");
	if (off <= 0)
		return;
	if (rest_at == 0)
		rest_at = now_s() + jittered(get("on_s"));
	if (now_s() < rest_at)
		return;
	resting = 1;
	nap(jittered(off));
	resting = 0;
	rest_at = now_s() + jittered(get("on_s"));
}

/* When the next unit of work is due. Gaps under 2 ms are not slept, so a fast rate runs in small
 * bursts; a lag over 0.25 s is forgotten, so a stall is not followed by a rush. */
static double due;

static void pace(double seconds)
{
	rest();
	double now = now_s();
	if (due < now - 0.25)
		due = now;
	due += jittered(seconds);
	if (due - now > 0.002)
		nap(due - now);
}

/* ------------------------------------------------------------------ files */

static struct {
	char *path[MAX_FILES];
	int n;
} files;

static unsigned char buffer[CHUNK];
static unsigned char packed[2 * CHUNK];

static int collect(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)ftw;
	if (type == FTW_F && files.n < MAX_FILES)
		files.path[files.n++] = strdup(path);
	return 0;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Sorted: the order of a directory is the file system's business and would differ by machine. */
static void list_files(const char *top)
{
	while (files.n)
		free(files.path[--files.n]);
	nftw(top, collect, 16, FTW_PHYS);
	qsort(files.path, (size_t)files.n, sizeof files.path[0], by_name);
}

static void shuffle_files(void)
{
	for (int i = files.n - 1; i > 0; i--) {
		int j = below(i + 1);
		char *swap = files.path[i];
		files.path[i] = files.path[j];
		files.path[j] = swap;
	}
}

/* Dirty pages cannot be dropped, so a file that was just written is not cold: as in real life. */
static int open_data(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC);
	if (fd >= 0 && uniform() * 100 < get("cold"))
		posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	return fd;
}

static int create(const char *path)
{
	return open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
}

/* A full disk is not an error here: the sinks of these bytes are only load. */
static void put(int fd, const void *bytes, size_t n)
{
	if (fd >= 0 && write(fd, bytes, n) < 0)
		return;
}

static void fill_random(unsigned char *to, size_t n)
{
	for (size_t i = 0; i + 8 <= n; i += 8) {
		uint64_t x = draw();
		memcpy(to + i, &x, 8);
	}
}

/* Words from a small stock, so that packing finds runs and a reader finds text. */
static void fill_text(unsigned char *to, size_t n)
{
	static const char *const stock[] = {"alpha ", "report ", "2024-05-17 ", "0000000000 ",
					    "total,", "        ", "value=", "\n"};
	for (size_t i = 0; i < n;) {
		const char *word = stock[below(8)];
		size_t len = strlen(word);
		memcpy(to + i, word, len < n - i ? len : n - i);
		i += len;
	}
}

static int forget(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type;
	if (ftw->level > 0 && strcmp(path, "/data/lost+found"))
		remove(path);
	return 0;
}

static void write_file(const char *path, size_t bytes, int text)
{
	int fd = create(path);
	for (size_t n; fd >= 0 && bytes; bytes -= n) {
		n = bytes < CHUNK ? bytes : CHUNK;
		if (text)
			fill_text(buffer, n);
		else
			fill_random(buffer, n);
		put(fd, buffer, n);
	}
	if (fd >= 0)
		close(fd);
}

static void make_folders(void)
{
	static const char *const all[] = {TREE,          "/data/db",    "/data/backup",
					  "/data/sync",  "/data/build", "/data/stage",
					  "/data/incoming", "/data/log"};
	for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
		mkdir(all[i], 0755);
}

/* A tree that depends on nothing but its three parameters. Sizes are skewed, as on real disks:
 * many small files and a few four times the mean. */
static void populate(int count, double mean_kb)
{
	char path[128];
	double budget = TREE_KB * 1024.0;
	nftw("/data", forget, 16, FTW_PHYS | FTW_DEPTH);
	make_folders();
	for (int i = 0; i < count; i++) {
		double u = uniform();
		double size = 1024 * mean_kb * (0.2 + 3.2 * u * u * u);
		size = size < budget ? size : budget;
		budget -= size;
		snprintf(path, sizeof path, TREE "/d%02d", i % 16);
		mkdir(path, 0755);
		snprintf(path, sizeof path, TREE "/d%02d/f%04d.%s", i % 16, i, i % 3 ? "txt" : "bin");
		write_file(path, (size_t)size, i % 3);
	}
	write_file(DATABASE, DATABASE_KB * 1024, 0);
	sync();
}

/* ------------------------------------------------------------------ network */

/* The one door to the network: nothing but the sink addresses can be named. */
static struct sockaddr_in sink(int host, int port)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	if (host < 1 || host > 9)
		abort();
	to.sin_addr.s_addr = htonl(0x0A4D0000u + (uint32_t)host); /* 10.77.0.host */
	return to;
}

/* A socket of type `type` (perhaps with SOCK_NONBLOCK) on its way to a sink; -1 if refused. */
static int dial(int host, int port, int type)
{
	struct sockaddr_in to = sink(host, port);
	struct timeval limit = {3, 0};
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
	if (connect(fd, (struct sockaddr *)&to, sizeof to) < 0 && errno != EINPROGRESS) {
		close(fd);
		return -1;
	}
	return fd;
}

static int send_all(int fd, const void *bytes, size_t n)
{
	for (const char *at = bytes; n;) {
		ssize_t k = send(fd, at, n, MSG_NOSIGNAL);
		if (k <= 0)
			return -1;
		at += k;
		n -= (size_t)k;
	}
	return 0;
}

/* One GET at `rate` bytes/s (0: as fast as it goes); what arrives also goes to `out` if >= 0. */
static void fetch(int host, int port, long bytes, double rate, int out)
{
	char line[64];
	ssize_t n;
	int fd = dial(host, port, SOCK_STREAM);
	if (fd < 0)
		return;
	snprintf(line, sizeof line, "GET %ld\n", bytes);
	if (!send_all(fd, line, strlen(line)))
		while (bytes > 0 && (n = recv(fd, buffer, 16384, 0)) > 0) {
			put(out, buffer, (size_t)n);
			bytes -= n;
			if (rate > 0)
				pace((double)n / rate);
		}
	close(fd);
}

/* A short meeting: hello, a few bytes, one line back, perhaps held open for a while. */
static void contact(int host, int port, size_t bytes, double hold_s)
{
	char answer[256];
	int fd = dial(host, port, SOCK_STREAM);
	if (fd < 0)
		return;
	fill_random(buffer, bytes + 8);
	if (!send_all(fd, "HELLO\n", 6) && recv(fd, answer, sizeof answer, 0) > 0)
		send_all(fd, buffer, bytes);
	nap(hold_s);
	close(fd);
}

static int open_upload(int host, int port)
{
	int fd = dial(host, port, SOCK_STREAM);
	if (fd >= 0 && send_all(fd, "PUT\n", 4)) {
		close(fd);
		fd = -1;
	}
	return fd;
}

/* Connections under way that nobody waits for: those of scan and flood. */
#define PROBES 64
static struct probe {
	int fd;
	double until;
} probes[PROBES];

static void probes_begin(void)
{
	for (int i = 0; i < PROBES; i++)
		probes[i].fd = -1;
}

/* An answered probe says `size` bytes and goes; a silent one goes when its time is over. */
static void probe_sweep(size_t size)
{
	double now = now_s();
	for (struct probe *p = probes; p < probes + PROBES; p++) {
		struct pollfd ask = {p->fd, POLLOUT, 0};
		if (p->fd < 0)
			continue;
		int answered = poll(&ask, 1, 0) == 1;
		if (!answered && now < p->until)
			continue;
		if (size && answered && !(ask.revents & POLLERR))
			send(p->fd, buffer, size, MSG_NOSIGNAL | MSG_DONTWAIT);
		close(p->fd);
		p->fd = -1;
	}
}

static void probe(int host, int port, double timeout_s)
{
	for (struct probe *p = probes; p < probes + PROBES; p++)
		if (p->fd < 0) {
			p->fd = dial(host, port, SOCK_STREAM | SOCK_NONBLOCK);
			p->until = now_s() + timeout_s;
			return;
		}
}

/* ------------------------------------------------------------------ processors and memory */

static volatile uint64_t burnt;

static void burn(double seconds)
{
	uint64_t x = burnt | 1;
	for (double end = now_s() + seconds; now_s() < end;)
		for (int i = 0; i < 2000; i++)
			x = (x ^ (x >> 29)) * 0xD6E8FEB86659FD93ULL + (uint64_t)i;
	burnt = x;
}

static void touch(unsigned char *at, size_t bytes)
{
	for (size_t i = 0; i < bytes; i += 4096)
		at[i] = (unsigned char)(i >> 12 ^ burnt);
}

static long clamp(const char *text, long high)
{
	long n = atol(text);
	return n < 0 ? 0 : n > high ? high : n;
}

/* Reads up to `want` files of one folder of the tree, whole. */
static void read_some(long want)
{
	char path[32];
	snprintf(path, sizeof path, TREE "/d%02d", below(16));
	DIR *dir = opendir(path);
	for (struct dirent *e; dir && want > 0 && (e = readdir(dir));) {
		int fd = e->d_name[0] == '.' ? -1 : openat(dirfd(dir), e->d_name, O_RDONLY);
		if (fd < 0)
			continue;
		while (read(fd, buffer, 65536) > 0)
			;
		close(fd);
		want--;
	}
	if (dir)
		closedir(dir);
}

/* What a short-lived child is executed as: `load job MS MB SOURCES KB SEED PATH`. */
static int job(char **argv)
{
	size_t mb = (size_t)clamp(argv[3], 4), kb = (size_t)clamp(argv[5], 256);
	alarm(10);
	rng = strtoull(argv[6], NULL, 10);
	read_some(clamp(argv[4], 40));
	if (mb) {
		void *at = mmap(NULL, mb << 20, PROT_READ | PROT_WRITE,
				MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (at != MAP_FAILED)
			touch(at, mb << 20);
	}
	burn((double)clamp(argv[2], 1000) / 1000);
	if (kb)
		write_file(argv[7], kb * 1024, 0);
	return 0;
}

/* At most 8 children and 16 MiB at a time: a slow machine gets fewer of them, not a pile, and a
 * small one does not run out of memory, which would stall the agent too. */
static void spawn_job(long ms, long mb, long sources, long kb, const char *path)
{
	static int living;
	int most = mb > 2 ? (int)(16 / mb) : 8;
	char text[5][24];
	while (living > 0 && waitpid(-1, NULL, living < most ? WNOHANG : 0) > 0)
		living--;
	snprintf(text[0], 24, "%ld", ms);
	snprintf(text[1], 24, "%ld", mb);
	snprintf(text[2], 24, "%ld", sources);
	snprintf(text[3], 24, "%ld", kb);
	snprintf(text[4], 24, "%llu", (unsigned long long)draw());
	pid_t pid = fork();
	if (pid == 0) {
		execl("/proc/self/exe", "load", "job", text[0], text[1], text[2], text[3],
		      text[4], path, (char *)NULL);
		_exit(127);
	}
	living += pid > 0;
}

/* ------------------------------------------------------------------ benign programs */

static void run_idle(void)
{
	for (;;)
		nap(60);
}

static size_t literals(const unsigned char *from, size_t n, unsigned char *to)
{
	size_t made = 0;
	for (size_t k; n; n -= k, from += k, made += k + 1) {
		k = n < 127 ? n : 127;
		to[made] = (unsigned char)k;
		memcpy(to + made + 1, from, k);
	}
	return made;
}

static size_t match_length(const unsigned char *a, const unsigned char *b, const unsigned char *end)
{
	size_t n = 0;
	while (b + n < end && n < 127 && a[n] == b[n])
		n++;
	return n;
}

/* Repeats become (128 + length, distance) by way of a hash of the last place of each four bytes;
 * the rest is copied. Cheap, halves text and leaves random bytes as they are. */
static size_t pack(const unsigned char *from, size_t n, unsigned char *to)
{
	static uint32_t last[4096];
	size_t made = 0, copied = 0, i = 0;
	memset(last, 0, sizeof last);
	while (i + 4 <= n) {
		uint32_t word;
		memcpy(&word, from + i, 4);
		uint32_t *seen = &last[word * 2654435761u >> 20];
		size_t was = *seen, len = 0;
		*seen = (uint32_t)i;
		if (was < i && i - was < 65536)
			len = match_length(from + was, from + i, from + n);
		if (len < 5) {
			i++;
			continue;
		}
		made += literals(from + copied, i - copied, to + made);
		to[made++] = (unsigned char)(128 + len);
		to[made++] = (unsigned char)((i - was) >> 8);
		to[made++] = (unsigned char)(i - was);
		copied = i += len;
	}
	return made + literals(from + copied, n - copied, to + made);
}

static long archived;

/* Packs one file onto the archive, which starts over at `cap` so that the disk never fills. */
static void archive(int out, const char *path, long cap)
{
	double rate = get("rate_kbs") * 1024;
	size_t chunk = (size_t)get("chunk_kb") * 1024;
	int every = (int)get("fsync_n");
	static int chunks;
	ssize_t n;
	int fd = open_data(path, O_RDONLY);
	while (fd >= 0 && (n = read(fd, buffer, chunk)) > 0) {
		size_t made = pack(buffer, (size_t)n, packed);
		if (archived + (long)made > cap)
			archived = lseek(out, 0, SEEK_SET);
		put(out, packed, made);
		archived += (long)made;
		if (++chunks % every == 0)
			fsync(out);
		pace((double)n / rate);
	}
	if (fd >= 0)
		close(fd);
}

static void run_backup(void)
{
	char path[64];
	for (int pass = 0;; pass++) {
		snprintf(path, sizeof path, "/data/backup/archive.%d", pass % 2);
		int out = create(path);
		archived = 0;
		list_files(TREE);
		for (int i = 0; i < files.n; i++)
			archive(out, files.path[i], (long)get("cap_kb") * 1024);
		fsync(out);
		close(out);
		nap(jittered(get("pause_s")));
	}
}

static void run_compile(void)
{
	char path[64];
	for (int i = 0;; i++) {
		snprintf(path, sizeof path, "/data/build/part%02d.o", i % 16);
		spawn_job((long)jittered(get("burn_ms")), 0, (long)get("sources"),
			  (long)get("object_kb"), path);
		pace(1 / get("rate"));
	}
}

static void run_crawl(void)
{
	static const int ports[] = {80, 443, 8080};
	for (;;) {
		int host = 1 + below((int)get("hosts"));
		for (int i = 0; i < (int)get("objects"); i++)
			fetch(host, ports[below(3)],
			      (long)(get("bytes") * (0.2 + 3.2 * uniform() * uniform())), 0, -1);
		pace(1 / get("rate"));
	}
}

/* Uploads one file at `rate` bytes/s; an unreachable sink costs half a second, not a busy loop. */
static void upload(int to, const char *path, size_t chunk, double rate)
{
	ssize_t n;
	int fd = open_data(path, O_RDONLY);
	while (fd >= 0 && (n = read(fd, buffer, chunk)) > 0) {
		if (send_all(to, buffer, (size_t)n))
			break;
		pace((double)n / rate);
	}
	if (fd >= 0)
		close(fd);
}

static void sync_up(int host, int port, double rate)
{
	int to = open_upload(host, port);
	if (to < 0) {
		nap(0.5);
		return;
	}
	upload(to, files.path[below(files.n)], (size_t)get("chunk_kb") * 1024, rate);
	close(to);
}

static void sync_down(int host, int port, double rate)
{
	char path[64];
	snprintf(path, sizeof path, "/data/sync/item%02d", below(24));
	int out = create(path);
	fetch(host, port, (long)(get("item_kb") * 1024 * (0.2 + 1.6 * uniform())), rate, out);
	fsync(out);
	close(out);
}

static void run_sync(void)
{
	int host = (int)get("to"), port = (int)get("port");
	double rate = get("rate_kbs") * 1024;
	list_files(TREE);
	for (;;) {
		if (files.n && uniform() * 100 < get("up"))
			sync_up(host, port, rate);
		else
			sync_down(host, port, rate);
		pace(get("pause_s"));
	}
}

/* One page read or written at a random place. Only the page is made cold, not its neighbours. */
static void database_op(int fd, long pages, int *writes)
{
	off_t at = (off_t)(uniform() * (double)pages) * 4096;
	if (uniform() * 100 < get("write")) {
		fill_random(buffer, 4096);
		if (pwrite(fd, buffer, 4096, at) == 4096 && ++*writes % (int)get("fsync_n") == 0)
			fdatasync(fd);
		return;
	}
	if (uniform() * 100 < get("cold"))
		posix_fadvise(fd, at, 4096, POSIX_FADV_DONTNEED);
	if (pread(fd, buffer, 4096, at) < 0)
		nap(0.1);
}

static void run_database(void)
{
	long pages = (long)get("size_kb") / 4;
	int writes = 0;
	int fd = open(DATABASE, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM); /* no read-ahead: a database knows better */
	for (;;) {
		database_op(fd, pages, &writes);
		pace(1 / get("ops"));
	}
}

static void run_heartbeat(void)
{
	for (;;) {
		contact((int)get("to"), (int)get("port"), (size_t)get("bytes"),
			get("hold_ms") / 1000);
		pace(get("period_s"));
	}
}

static void run_download(void)
{
	char path[64];
	for (int i = 0;; i++) {
		snprintf(path, sizeof path, "/data/incoming/part%d", i % 2);
		int out = get("save") > 0 ? create(path) : -1;
		double began = now_s();
		fetch((int)get("to"), (int)get("port"), (long)get("size_kb") * 1024,
		      get("rate_kbs") * 1024, out);
		if (out >= 0)
			close(out);
		if (now_s() - began < 0.05)
			nap(0.5);
	}
}

/* A person at a desk: opens a few files, loads a page, computes a little, saves a document. */
static void run_office(void)
{
	char path[64];
	for (int i = 0;; i++) {
		read_some(1 + below((int)get("files")));
		if (uniform() < 0.6)
			fetch(1 + below(9), 443, (long)(get("page_kb") * 1024 * (0.2 + 1.6 * uniform())),
			      0, -1);
		burn(jittered(get("burn_ms")) / 1000);
		if (uniform() * 100 < get("save")) {
			snprintf(path, sizeof path, "/data/sync/note%02d", below(12));
			write_file(path, (size_t)(1024 * jittered(get("document_kb"))), 1);
		}
		pace(1 / get("rate"));
	}
}

/* Scheduled jobs: every `period_s` a few short processes, each reading files and writing one. */
static void run_cron(void)
{
	char path[64];
	for (;;) {
		for (int i = 0; i < (int)get("jobs"); i++) {
			snprintf(path, sizeof path, "/data/log/cron%02d", below(8));
			spawn_job((long)jittered(get("burn_ms")), 0, (long)get("sources"),
				  (long)get("output_kb"), path);
		}
		pace(get("period_s"));
	}
}

/* One package: fetched, unpacked as `files` new files, then configured by a short process. */
static void upgrade_package(int number)
{
	char path[64];
	int out = create("/data/incoming/package");
	fetch((int)get("to"), 80, (long)(get("package_kb") * 1024 * (0.2 + 1.6 * uniform())),
	      get("rate_kbs") * 1024, out);
	if (out >= 0) {
		fsync(out);
		close(out);
	}
	for (int i = 0; i < (int)get("files"); i++) {
		snprintf(path, sizeof path, "/data/build/p%02d-%02d", number % 4, i);
		write_file(path, (size_t)(512 + 16384 * uniform() * uniform()), 1);
		pace(0.02);
	}
	spawn_job((long)jittered(get("burn_ms")), 1, 6, 0, "");
}

static void run_upgrade(void)
{
	for (int number = 0;; number++) {
		upgrade_package(number);
		if ((number + 1) % (int)get("packages") == 0) {
			sync();
			nap(jittered(get("pause_s")));
		}
	}
}

/* Lines appended to a log, which is packed and started over every `rotate_s`. */
static void rotate_log(const char *log)
{
	ssize_t n;
	int in = open(log, O_RDONLY | O_CLOEXEC), out = create("/data/log/service.1.z");
	while (in >= 0 && (n = read(in, buffer, CHUNK)) > 0)
		put(out, packed, pack(buffer, (size_t)n, packed));
	if (in >= 0)
		close(in);
	if (out >= 0) {
		fsync(out);
		close(out);
	}
}

static void run_rotate(void)
{
	static const char log[] = "/data/log/service";
	unsigned char line[160];
	int out = create(log);
	double again = now_s() + jittered(get("rotate_s"));
	for (;;) {
		fill_text(line, sizeof line);
		put(out, line, sizeof line);
		pace(1 / get("rate"));
		if (now_s() < again)
			continue;
		close(out);
		rotate_log(log);
		out = create(log);
		again = now_s() + jittered(get("rotate_s"));
	}
}

/* Clock synchronisation: a request of 48 bytes to the NTP port, and its answer. */
static void run_clocksync(void)
{
	int fd = dial((int)get("to"), 123, SOCK_DGRAM);
	unsigned char message[48] = {0x23};
	for (;;) {
		send(fd, message, sizeof message, MSG_NOSIGNAL);
		if (recv(fd, buffer, sizeof message, 0) < 0)
			nap(0.5);
		pace(get("period_s"));
	}
}

/* A monitor that looks whether services are there: the same addresses and ports in the same order,
 * sweep after sweep, some of them closed. */
static void run_monitor(void)
{
	static const int ports[] = {80, 443, 8080, 22, 25, 5000, 3306, 53};
	probes_begin();
	for (;;) {
		for (int i = 0; i < (int)get("hosts") * (int)get("ports"); i++) {
			probe(1 + i / (int)get("ports"), ports[i % (int)get("ports")], 1);
			pace(1 / get("rate"));
			probe_sweep((size_t)get("bytes"));
		}
		nap(jittered(get("pause_s")));
	}
}

/* A management agent: one destination, requests and answers of one size each, the same file of
 * settings every `config_n` calls, and local checks by its own clock, whatever the answer was. */
static void run_checkin(void)
{
	int host = (int)get("to"), port = (int)get("port");
	double check = now_s() + jittered(get("check_s"));
	for (int i = 1;; i++) {
		fetch(host, port, (long)get("answer_bytes"), 0, -1);
		if (get("config_n") > 0 && i % (int)get("config_n") == 0) {
			int out = create("/data/log/settings");
			fetch(host, port, (long)get("config_bytes"), 0, out);
			if (out >= 0)
				close(out);
		}
		if (now_s() >= check) {
			spawn_job((long)jittered(get("check_ms")), 0, (long)get("files"), 0, "");
			check = now_s() + jittered(get("check_s"));
		}
		pace(get("period_s"));
	}
}

#define SERVICE 8000

static int listen_service(void)
{
	struct sockaddr_in own = {.sin_family = AF_INET, .sin_port = htons(SERVICE)};
	int yes = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	own.sin_addr.s_addr = htonl(INADDR_ANY);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
	if (bind(fd, (struct sockaddr *)&own, sizeof own) || listen(fd, 64)) {
		close(fd);
		return -1;
	}
	return fd;
}

/* One visitor: a request, then one file of the tree, at most `most` bytes of it, and a log line. */
static void serve_visitor(int to, int log, size_t most)
{
	struct timeval limit = {3, 0};
	ssize_t n;
	setsockopt(to, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
	setsockopt(to, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
	if (recv(to, packed, 512, 0) > 0 && files.n) {
		int fd = open_data(files.path[below(files.n)], O_RDONLY);
		while (fd >= 0 && most && (n = read(fd, buffer, most < 16384 ? most : 16384)) > 0) {
			if (send_all(to, buffer, (size_t)n))
				break;
			most -= (size_t)n;
		}
		if (fd >= 0)
			close(fd);
		put(log, packed, 120);
	}
	burn(get("burn_ms") / 1000);
	close(to);
}

/* Web serving. The sink's addresses visit for as long as the connection that asks for it is open. */
static void run_serve(void)
{
	char order[48];
	int door = listen_service(), log = create("/data/log/access");
	int ask = dial((int)get("to"), 80, SOCK_STREAM);
	list_files(TREE);
	snprintf(order, sizeof order, "CALL %.3f\n", get("rate"));
	if (door < 0 || ask < 0 || send_all(ask, order, strlen(order)))
		run_idle();
	for (;;) {
		int to = accept(door, NULL, NULL);
		if (to < 0)
			nap(0.1);
		else
			serve_visitor(to, log, (size_t)get("most_kb") * 1024);
		if (lseek(log, 0, SEEK_CUR) > 1 << 20)
			lseek(log, 0, SEEK_SET);
	}
}

/* ------------------------------------------------------------------ hostile-looking programs */

static void stage_payload(int number)
{
	char path[64];
	snprintf(path, sizeof path, "/data/stage/part%d", number % 4);
	write_file(path, (size_t)get("size_kb") * 1024, 0);
}

static void run_spawn(void)
{
	double again = 0;
	for (int number = 0;;) {
		if (now_s() >= again) {
			stage_payload(number++);
			again = now_s() + jittered(get("payload_s"));
		}
		spawn_job((long)jittered(get("burn_ms")), (long)get("mb"), 0, 0, "");
		pace(1 / get("rate"));
	}
}

/* Looks at one directory entry: its metadata and, if it is a small file, its first bytes.
 * Some files of /proc wait for events when read, hence O_NONBLOCK. */
static int look(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)ftw;
	size_t head = (size_t)get("head");
	pace(1 / get("rate"));
	if (type != FTW_F || !head || !strncmp(path, "/proc/k", 7))
		return 0;
	int fd = open_data(path, O_RDONLY | O_NONBLOCK);
	if (fd < 0)
		return 0;
	if (read(fd, buffer, head) < 0)
		nap(0);
	close(fd);
	return 0;
}

static void run_walk(void)
{
	for (;;) {
		nftw("/data", look, 16, FTW_PHYS);
		nftw("/proc", look, 16, FTW_PHYS);
	}
}

static void run_scan(void)
{
	int first = (int)get("port_from"), last = (int)get("port_to"), hosts = (int)get("hosts");
	int span = last > first ? last - first + 1 : 1;
	probes_begin();
	for (int i = 0;; i++) {
		int at = get("shuffle") > 0 ? below(span * hosts) : i % (span * hosts);
		probe(1 + at / span, first + at % span, get("timeout_ms") / 1000);
		pace(1 / get("rate"));
		probe_sweep(0);
	}
}

/* Calls home; every `task_n`th time it also fetches a "task". */
static void run_beacon(void)
{
	int host = (int)get("to"), port = (int)get("port");
	for (int i = 1;; i++) {
		contact(host, port, (size_t)get("bytes"), get("hold_ms") / 1000);
		if (get("task_n") > 0 && i % (int)get("task_n") == 0)
			fetch(host, port, (long)get("task_bytes"), 0, -1);
		pace(get("period_s"));
	}
}

/* The answer to a call is a task: its size differs, and it is carried out at once by a short process
 * that computes and reads files; what it found, again of any size, is sent back. */
static void do_task(int host, int port)
{
	fetch(host, port, (long)(get("task_bytes") * (0.2 + 3.2 * uniform() * uniform())), 0, -1);
	spawn_job((long)(get("exec_ms") * (0.2 + 1.6 * uniform())), 0, (long)(get("files") * uniform()),
		  0, "");
	while (waitpid(-1, NULL, 0) > 0)
		;
	size_t left = (size_t)(get("result_kb") * 1024 * (0.1 + 2.7 * uniform() * uniform()));
	int to = left ? open_upload(host, port) : -1;
	for (size_t n; to >= 0 && left; left -= n) {
		n = left < 32768 ? left : 32768;
		if (send_all(to, buffer, n))
			break;
	}
	if (to >= 0)
		close(to);
}

/* Command and control by what it does: calls home after a sleep with jitter; `task` percent of the
 * calls are answered with work, and up to `burst` more calls follow at once, as with an operator at
 * the other end. After about `move_n` calls it turns to another destination. */
static void run_tasking(void)
{
	int hosts = (int)get("hosts"), port = (int)get("port");
	int host = 1 + below(9), first = host;
	fill_random(buffer, sizeof buffer);
	for (;;) {
		fetch(host, port, 48 + below(160), 0, -1);
		for (int more = uniform() * 100 < get("task") ? 1 + below((int)get("burst")) : 0; more;
		     more--) {
			do_task(host, port);
			nap(0.3 + 1.5 * uniform());
		}
		if (get("move_n") > 0 && uniform() < 1 / get("move_n"))
			host = 1 + (first - 1 + below(hosts)) % 9;
		pace(get("period_s"));
	}
}

static double duty, slice_s;

static void hash_slice(void)
{
	burn(slice_s * duty);
	nap(slice_s * (1 - duty));
}

static void *hash_helper(void *unused)
{
	for (;;)
		if (resting)
			nap(0.05);
		else
			hash_slice();
	return unused;
}

static void run_hash(void)
{
	pthread_t helper;
	double every = get("report_s"), report = now_s() + every;
	duty = get("duty") / 100;
	slice_s = get("slice_ms") / 1000;
	for (int i = 1; i < (int)get("threads"); i++)
		pthread_create(&helper, NULL, hash_helper, NULL);
	for (;;) {
		hash_slice();
		rest();
		if (every > 0 && now_s() >= report) {
			contact((int)get("to"), (int)get("port"), 160, 0);
			report = now_s() + jittered(every);
		}
	}
}

/* A keystream of add-rotate-xor rounds over 16 words. Its key is in plain sight and applying it
 * twice restores the data, so nothing can be lost or held back with it. */
static void keystream(uint32_t out[16], uint32_t nonce, uint32_t block)
{
	uint32_t w[16];
	for (uint32_t i = 0; i < 16; i++)
		w[i] = out[i] = 0x70776C62u * (i + 1) ^ nonce ^ (block << (i & 3));
	for (int round = 0; round < 8; round++)
		for (int i = 0; i < 16; i++) {
			uint32_t *a = &w[i], *b = &w[(i + 5 + round) & 15];
			*a += *b;
			*b ^= *a;
			*b = *b << (7 + (i & 7)) | *b >> (25 - (i & 7));
		}
	for (int i = 0; i < 16; i++)
		out[i] += w[i];
}

static void transform(unsigned char *at, size_t n, uint32_t nonce, uint32_t block)
{
	uint32_t key[16];
	for (size_t i = 0; i < n; i++) {
		if (i % 64 == 0)
			keystream(key, nonce, block++);
		at[i] ^= ((unsigned char *)key)[i % 64];
	}
}

static uint32_t nonce_of(const char *path, size_t n)
{
	uint32_t h = 2166136261u;
	for (size_t i = 0; i < n; i++)
		h = (h ^ (unsigned char)path[i]) * 16777619u;
	return h;
}

static void transform_file(int fd, uint32_t nonce)
{
	size_t chunk = (size_t)get("chunk_kb") * 1024;
	double rate = get("rate_kbs") * 1024;
	ssize_t n;
	for (off_t at = 0; (n = pread(fd, buffer, chunk, at)) > 0; at += n) {
		transform(buffer, (size_t)n, nonce, (uint32_t)(at / 64));
		if (pwrite(fd, buffer, (size_t)n, at) < 0)
			return;
		pace((double)n / rate);
	}
}

/* NAME becomes NAME.x with its content transformed; NAME.x becomes NAME again. */
static void encrypt_file(const char *path, int sync_it)
{
	char other[300];
	size_t n = strlen(path);
	int back = n > 2 && !strcmp(path + n - 2, ".x");
	size_t plain = back ? n - 2 : n;
	int fd = open_data(path, O_RDWR);
	if (fd < 0)
		return;
	transform_file(fd, nonce_of(path, plain));
	if (sync_it)
		syncfs(fd); /* all the files since the last time, not only this one */
	close(fd);
	snprintf(other, sizeof other, "%.*s%s", (int)plain, path, back ? "" : ".x");
	rename(path, other);
}

static void run_encrypt(void)
{
	int every = (int)get("fsync_n");
	for (int count = 0;;) {
		list_files(TREE);
		if (get("shuffle") > 0)
			shuffle_files();
		for (int i = 0; i < files.n; i++)
			encrypt_file(files.path[i], ++count % every == 0);
		nap(jittered(get("pause_s")));
	}
}

/* Files one after another over one connection, a new connection after each `part_kb`. */
static void run_send(void)
{
	int to = -1;
	double chunk = get("chunk_kb") * 1024, left = 0;
	for (int i = 0;; i++) {
		if (i >= files.n) {
			list_files(TREE);
			shuffle_files();
			i = 0;
		}
		if (left <= 0 && to >= 0)
			to = close(to) - 1;
		if (to < 0) {
			to = open_upload((int)get("to"), (int)get("port"));
			left = get("part_kb") * 1024;
		}
		if (to < 0 || !files.n) {
			nap(0.5);
			continue;
		}
		struct stat st;
		left -= stat(files.path[i], &st) ? 0 : (double)st.st_size;
		upload(to, files.path[i], (size_t)chunk, get("rate_kbs") * 1024);
	}
}

static void flood_udp(size_t size)
{
	int fd[32], n = (int)get("sockets");
	for (int i = 0; i < n; i++)
		fd[i] = dial((int)get("to"), 9999, SOCK_DGRAM);
	for (;;) {
		send(fd[below(n)], buffer, size, MSG_DONTWAIT | MSG_NOSIGNAL);
		pace(1 / get("pps"));
	}
}

static void run_flood(void)
{
	size_t size = (size_t)get("size");
	fill_random(buffer, sizeof buffer);
	if (get("udp") > 0)
		flood_udp(size);
	probes_begin();
	for (;;) {
		probe((int)get("to"), (int)get("port"), 1);
		pace(1 / get("pps"));
		probe_sweep(size);
	}
}

/* The bound leaves a guest of 96 MiB alive. Grows to `mb`, keeps it for `keep_s`, gives it back, starts over. */
static void run_memory(void)
{
	size_t total = (size_t)get("mb") << 20, step = 65536;
	unsigned char *at = mmap(NULL, total, PROT_READ | PROT_WRITE,
				 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (at == MAP_FAILED)
		return;
	for (;;) {
		for (size_t i = 0; i < total; i += step) {
			touch(at + i, step);
			pace((double)step / (get("rate_mbs") * 1048576));
		}
		nap(jittered(get("keep_s")));
		madvise(at, total, MADV_DONTNEED);
	}
}

/* ------------------------------------------------------------------ the table of programs */

/* `to` is written as an address and kept as its last number. */
#define TO(n) {"to", n, 1, 9}
#define PORT_KEY(n) {"port", n, 1, 65535}

static const struct program {
	const char *name;
	void (*run)(void);
	struct key keys[12];
} programs[] = {
	{"idle", run_idle, {{0}}},
	{"backup", run_backup,
	 {{"rate_kbs", 800, 16, 8192}, {"chunk_kb", 64, 4, 256}, {"fsync_n", 16, 1, 1000},
	  {"cap_kb", 6144, 64, 8192}, {"pause_s", 2, 0, 60}}},
	{"compile", run_compile,
	 {{"rate", 2, 0.1, 20}, {"burn_ms", 120, 1, 900}, {"sources", 6, 1, 40},
	  {"object_kb", 24, 1, 256}}},
	{"crawl", run_crawl,
	 {{"rate", 1, 0.1, 20}, {"bytes", 20000, 100, 500000}, {"objects", 3, 1, 12},
	  {"hosts", 5, 1, 9}}},
	{"sync", run_sync,
	 {{"rate_kbs", 200, 8, 4096}, {"up", 50, 0, 100}, {"chunk_kb", 32, 4, 256},
	  {"item_kb", 64, 1, 256}, {"pause_s", 0.2, 0.01, 60}, TO(2), PORT_KEY(443)}},
	{"database", run_database,
	 {{"ops", 60, 1, 1000}, {"write", 30, 0, 100}, {"fsync_n", 16, 1, 1000},
	  {"size_kb", DATABASE_KB, 256, 8192}}},
	{"heartbeat", run_heartbeat,
	 {{"period_s", 5, 0.2, 120}, {"bytes", 64, 0, 4096}, {"hold_ms", 0, 0, 5000}, TO(1),
	  PORT_KEY(443)}},
	{"download", run_download,
	 {{"rate_kbs", 400, 8, 8192}, {"size_kb", 512, 1, 2048}, {"save", 1, 0, 1}, TO(3),
	  PORT_KEY(80)}},
	{"office", run_office,
	 {{"rate", 0.5, 0.02, 5}, {"files", 4, 1, 40}, {"page_kb", 60, 1, 1024},
	  {"burn_ms", 60, 1, 500}, {"save", 30, 0, 100}, {"document_kb", 80, 1, 512}}},
	{"cron", run_cron,
	 {{"period_s", 60, 5, 120}, {"jobs", 3, 1, 8}, {"burn_ms", 150, 1, 900},
	  {"sources", 6, 0, 40}, {"output_kb", 8, 0, 256}}},
	{"upgrade", run_upgrade,
	 {{"packages", 8, 1, 40}, {"package_kb", 300, 8, 2048}, {"rate_kbs", 800, 16, 8192},
	  {"files", 12, 1, 40}, {"burn_ms", 200, 1, 900}, {"pause_s", 5, 0, 120}, TO(3)}},
	{"rotate", run_rotate, {{"rate", 20, 0.2, 500}, {"rotate_s", 60, 5, 120}}},
	{"clocksync", run_clocksync, {{"period_s", 32, 1, 120}, TO(9)}},
	{"monitor", run_monitor,
	 {{"rate", 5, 0.2, 100}, {"hosts", 6, 1, 9}, {"ports", 4, 1, 8}, {"bytes", 0, 0, 512},
	  {"pause_s", 20, 0.1, 120}}},
	{"checkin", run_checkin,
	 {{"period_s", 15, 0.5, 120}, {"answer_bytes", 120, 16, 4096}, {"config_n", 10, 0, 1000},
	  {"config_bytes", 8192, 16, 65536}, {"check_s", 30, 1, 120}, {"check_ms", 80, 1, 900},
	  {"files", 3, 0, 40}, TO(8), PORT_KEY(443)}},
	{"serve", run_serve,
	 {{"rate", 3, 0.1, 50}, {"most_kb", 64, 1, 256}, {"burn_ms", 2, 0, 100}, TO(2)}},
	{"spawn", run_spawn,
	 {{"rate", 8, 0.2, 40}, {"size_kb", 512, 16, 1024}, {"payload_s", 10, 1, 120},
	  {"burn_ms", 20, 1, 500}, {"mb", 1, 0, 4}}},
	{"walk", run_walk, {{"rate", 200, 1, 2000}, {"head", 512, 0, 4096}}},
	{"scan", run_scan,
	 {{"rate", 50, 1, 500}, {"port_from", 1, 1, 65535}, {"port_to", 1024, 1, 65535},
	  {"hosts", 9, 1, 9}, {"timeout_ms", 300, 20, 2000}, {"shuffle", 1, 0, 1}}},
	{"beacon", run_beacon,
	 {{"period_s", 5, 0.2, 120}, {"bytes", 96, 0, 4096}, {"task_n", 6, 0, 1000},
	  {"task_bytes", 2048, 1, 65536}, {"hold_ms", 0, 0, 5000}, TO(4), PORT_KEY(4444)}},
	{"tasking", run_tasking,
	 {{"period_s", 10, 0.2, 120}, {"task", 30, 0, 100}, {"task_bytes", 2048, 64, 65536},
	  {"exec_ms", 150, 1, 900}, {"files", 6, 0, 40}, {"result_kb", 16, 0, 512},
	  {"burst", 3, 1, 12}, {"hosts", 1, 1, 9}, {"move_n", 0, 0, 100}, PORT_KEY(4444)}},
	{"hash", run_hash,
	 {{"duty", 50, 1, 100}, {"threads", 1, 1, 2}, {"slice_ms", 20, 1, 1000},
	  {"report_s", 0, 0, 120}, TO(5), PORT_KEY(5000)}},
	{"encrypt", run_encrypt,
	 {{"rate_kbs", 500, 8, 4096}, {"chunk_kb", 16, 1, 64}, {"fsync_n", 8, 1, 1000},
	  {"pause_s", 0.5, 0.1, 60}, {"shuffle", 0, 0, 1}}},
	{"send", run_send,
	 {{"rate_kbs", 300, 8, 4096}, {"chunk_kb", 32, 1, 256}, {"part_kb", 512, 16, 16384},
	  TO(6), PORT_KEY(443)}},
	{"flood", run_flood,
	 {{"pps", 300, 1, 2000}, {"size", 64, 1, 1400}, {"udp", 0, 0, 1}, {"sockets", 8, 1, 32},
	  TO(7), PORT_KEY(80)}},
	{"memory", run_memory,
	 {{"mb", 12, 1, 20}, {"rate_mbs", 4, 0.1, 64}, {"keep_s", 2, 0, 120}}},
};
#define PROGRAMS (sizeof programs / sizeof programs[0])

static const struct key populate_keys[] = {
	{"files", 400, 1, MAX_FILES}, {"mean_kb", 24, 1, 256}, {"seed", 1, 0, 9007199254740992.0},
	{NULL, 0, 0, 0},
};

static int print_programs(void)
{
	for (const struct program *p = programs; p < programs + PROGRAMS; p++) {
		printf("%s", p->name);
		for (const struct key *k = p->keys; k->name; k++)
			printf(" %s=%.10g:%.10g..%.10g", k->name, k->value, k->low, k->high);
		printf("\n");
	}
	printf("(every)");
	for (const struct key *k = common; k->name; k++)
		printf(" %s=%.10g:%.10g..%.10g", k->name, k->value, k->low, k->high);
	printf("\n");
	return 0;
}

/* ------------------------------------------------------------------ requests */

static int ctl = -1;

/* Never blocks for good: the host may have gone away, and then the answer is lost. */
static void answer(const char *format, ...)
{
	char line[1024];
	va_list args;
	va_start(args, format);
	int n = vsnprintf(line, sizeof line - 1, format, args);
	va_end(args);
	if (n > (int)sizeof line - 2)
		n = (int)sizeof line - 2;
	line[n++] = '\n';
	for (int tries = 0; tries < 100 && write(ctl, line, (size_t)n) < 0; tries++)
		usleep(10000);
}

static void take_defaults(const struct key *own, const struct key *also)
{
	int n = 0;
	for (; own->name; own++)
		chosen[n++] = *own;
	for (; also && also->name; also++)
		chosen[n++] = *also;
	chosen[n] = (struct key){NULL, 0, 0, 0};
}

/* "error WHO: unknown key `x`; allowed: rate 1..500, ..." */
static void refuse_key(const char *who, const char *name)
{
	char all[700] = "";
	for (struct key *k = chosen; k->name; k++) {
		size_t n = strlen(all);
		snprintf(all + n, sizeof all - n, "%s%s %.10g..%.10g", n ? ", " : "", k->name, k->low,
			 k->high);
	}
	answer("error %s: unknown key %s; allowed: %s", who, name, all);
}

/* The value of `text`; `to` takes a dotted address and gives its last number, or -1. */
static int parse_value(const struct key *k, const char *text, double *value)
{
	struct in_addr address;
	char *end;
	if (!strcmp(k->name, "to")) {
		if (inet_pton(AF_INET, text, &address) != 1)
			return 0;
		uint32_t host = ntohl(address.s_addr);
		*value = host >> 8 == 0x0A4D00 ? (double)(host & 255) : -1;
		return 1;
	}
	*value = strtod(text, &end);
	return end != text && !*end && strspn(text, "0123456789.") == strlen(text);
}

static int set_key(const char *who, char *word)
{
	char *text = strchr(word, '=');
	double value;
	if (!text) {
		answer("error %s: expected key=value, got %s", who, word);
		return 0;
	}
	*text++ = 0;
	struct key *k = chosen;
	while (k->name && strcmp(k->name, word))
		k++;
	if (!k->name) {
		refuse_key(who, word);
		return 0;
	}
	if (parse_value(k, text, &value) && value >= k->low && value <= k->high) {
		k->value = value;
		return 1;
	}
	if (!strcmp(k->name, "to"))
		answer("error %s: to must be 10.77.0.1..10.77.0.9, got %s", who, text);
	else
		answer("error %s: %s must be %.10g..%.10g, got %s", who, k->name, k->low, k->high, text);
	return 0;
}

static int set_keys(const char *who)
{
	for (char *word; (word = strtok(NULL, " "));)
		if (!set_key(who, word))
			return 0;
	return 1;
}

/* ------------------------------------------------------------------ slots */

static struct slot {
	const char *name;
	pid_t leader;
} slots[] = {{"work", 0}, {"side", 0}};

static uint64_t seed = 1;
static uint64_t starts;

static struct slot *slot_of(const char *name)
{
	for (struct slot *s = slots; s < slots + 2; s++)
		if (name && !strcmp(s->name, name))
			return s;
	answer("error slot must be work or side, got %s", name ? name : "nothing");
	return NULL;
}

/* Kills the whole group and buries it. This process is the reaper of orphans, so a grandchild
 * whose parent died first is buried here too, and afterwards nothing of the group is left. */
static void end_slot(struct slot *s)
{
	if (!s->leader)
		return;
	kill(-s->leader, SIGKILL);
	while (waitpid(-s->leader, NULL, 0) > 0 || errno == EINTR)
		;
	s->leader = 0;
}

/* Buries what ended by itself; a leader's end takes its group along. */
static void bury(void)
{
	siginfo_t info;
	for (;;) {
		info.si_pid = 0;
		if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) || !info.si_pid)
			return;
		for (struct slot *s = slots; s < slots + 2; s++)
			if (s->leader == info.si_pid)
				end_slot(s);
		waitpid(info.si_pid, NULL, WNOHANG);
	}
}

/* The child's side of start: says when it begins, then runs until it is killed or out of time. */
static void become(const struct program *p, int begun, uint64_t chance)
{
	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGCHLD, SIG_DFL);
	close(ctl);
	rng = chance;
	int oom = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
	put(oom, "1000", 4); /* if memory runs out, this program goes, not the agent */
	close(oom);
	alarm((unsigned)get("seconds"));
	int64_t now = mono_ns();
	put(begun, &now, sizeof now);
	close(begun);
	p->run();
	_exit(0);
}

/* Returns when the program began, by its own clock reading; 0 if it could not start. */
static int64_t launch(struct slot *s, const struct program *p)
{
	int pipe_[2];
	int64_t begun = 0;
	uint64_t chance = seed * 0x9E3779B97F4A7C15ULL + ++starts;
	if (pipe2(pipe_, O_CLOEXEC))
		return 0;
	pid_t pid = fork();
	if (pid == 0) {
		close(pipe_[0]);
		become(p, pipe_[1], chance);
	}
	close(pipe_[1]);
	if (pid > 0) {
		setpgid(pid, pid);
		s->leader = pid;
		while (read(pipe_[0], &begun, sizeof begun) < 0 && errno == EINTR)
			;
	}
	close(pipe_[0]);
	return begun;
}

static const struct program *program_of(const char *name)
{
	char all[400] = "";
	for (const struct program *p = programs; p < programs + PROGRAMS; p++) {
		size_t n = strlen(all);
		if (name && !strcmp(p->name, name))
			return p;
		snprintf(all + n, sizeof all - n, "%s%s", n ? ", " : "", p->name);
	}
	answer("error unknown program %s; allowed: %s", name ? name : "(none)", all);
	return NULL;
}

/* A request that is refused leaves the slot as it was. */
static void do_start(void)
{
	struct slot *s = slot_of(strtok(NULL, " "));
	const struct program *p = s ? program_of(strtok(NULL, " ")) : NULL;
	if (!p)
		return;
	take_defaults(p->keys, common);
	if (!set_keys(p->name))
		return;
	end_slot(s);
	int64_t begun = launch(s, p);
	if (begun)
		answer("started %s %lld", s->name, (long long)begun);
	else
		answer("error %s could not be started: %s", p->name, strerror(errno));
}

static void do_stop(void)
{
	struct slot *s = slot_of(strtok(NULL, " "));
	if (!s)
		return;
	end_slot(s);
	answer("stopped %s %lld", s->name, (long long)mono_ns());
}

static void do_seed(void)
{
	char *text = strtok(NULL, " ");
	if (!text || strspn(text, "0123456789") != strlen(text)) {
		answer("error seed must be a number, got %s", text ? text : "nothing");
		return;
	}
	seed = strtoull(text, NULL, 10);
	starts = 0;
	answer("ok");
}

static void do_populate(void)
{
	take_defaults(populate_keys, NULL);
	if (!set_keys("populate"))
		return;
	if (slots[0].leader || slots[1].leader) {
		answer("error populate: stop work and side first");
		return;
	}
	if (get("files") * get("mean_kb") > TREE_KB) {
		answer("error populate: files * mean_kb must be at most %d", TREE_KB);
		return;
	}
	rng = (uint64_t)get("seed");
	populate((int)get("files"), get("mean_kb"));
	answer("ok");
}

/* Only the agent can be named: this is for the day on which the agent fails, nothing else. */
static void do_kill(void)
{
	char *name = strtok(NULL, " "), path[320], comm[32] = "";
	if (!name || strcmp(name, "agent")) {
		answer("error kill: only the agent can be killed");
		return;
	}
	DIR *proc = opendir("/proc");
	for (struct dirent *e; proc && (e = readdir(proc));) {
		snprintf(path, sizeof path, "/proc/%s/comm", e->d_name);
		int fd = atoi(e->d_name) ? open(path, O_RDONLY | O_CLOEXEC) : -1;
		ssize_t n = fd < 0 ? 0 : read(fd, comm, sizeof comm - 1);
		if (fd >= 0)
			close(fd);
		if (n == 6 && !memcmp(comm, "agent\n", 6))
			kill((pid_t)atoi(e->d_name), SIGKILL);
	}
	if (proc)
		closedir(proc);
	answer("killed %lld", (long long)mono_ns());
}

/* Power off where the machine can, otherwise reset: QEMU runs with -no-reboot and ends on both. */
static void do_quit(void)
{
	end_slot(&slots[0]);
	end_slot(&slots[1]);
	sync();
	if (access("/sys/firmware/acpi/tables", F_OK) && access("/proc/device-tree/psci", F_OK))
		reboot(RB_AUTOBOOT);
	reboot(RB_POWER_OFF);
}

static void obey(char *line)
{
	char *verb = strtok(line, " ");
	if (!verb)
		return;
	if (!strcmp(verb, "ping")) {
		char *token = strtok(NULL, " ");
		answer("pong %.64s %lld", token ? token : "-", (long long)mono_ns());
	} else if (!strcmp(verb, "start"))
		do_start();
	else if (!strcmp(verb, "stop"))
		do_stop();
	else if (!strcmp(verb, "seed"))
		do_seed();
	else if (!strcmp(verb, "populate"))
		do_populate();
	else if (!strcmp(verb, "kill"))
		do_kill();
	else if (!strcmp(verb, "quit"))
		do_quit();
	else
		answer("error unknown request %.64s; allowed: ping, seed, populate, start, stop, kill, quit",
		       verb);
}

/* ------------------------------------------------------------------ the control port */

static int named(const char *entry, const char *want)
{
	char path[320], name[64] = "";
	snprintf(path, sizeof path, "/sys/class/virtio-ports/%s/name", entry);
	FILE *f = fopen(path, "r");
	if (!f)
		return 0;
	int ok = fgets(name, sizeof name, f) != NULL;
	fclose(f);
	name[strcspn(name, "\n")] = 0;
	return ok && !strcmp(name, want);
}

static int open_port(const char *want)
{
	char path[320];
	int fd = -1;
	DIR *ports = opendir("/sys/class/virtio-ports");
	for (struct dirent *e; ports && fd < 0 && (e = readdir(ports));) {
		snprintf(path, sizeof path, "/dev/%s", e->d_name);
		if (named(e->d_name, want))
			fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	}
	if (ports)
		closedir(ports);
	return fd;
}

/* The host announces ports after the driver has loaded, so wait for ours a little. */
static int wait_port(const char *want)
{
	int fd = -1;
	for (int tries = 0; tries < 500 && (fd = open_port(want)) < 0; tries++)
		usleep(20000);
	return fd;
}

/* Collects bytes into lines; a line that does not fit is answered, not cut. */
static void feed(const char *bytes, ssize_t n)
{
	static char line[1024];
	static size_t have;
	for (ssize_t i = 0; i < n; i++) {
		if (bytes[i] != '\n') {
			have += have < sizeof line;
			line[have - 1] = bytes[i];
			continue;
		}
		if (have == sizeof line)
			answer("error request longer than %zu bytes", sizeof line - 1);
		line[have == sizeof line ? 0 : have] = 0;
		have = 0;
		obey(line);
	}
}

/* With no host on the other end the port reports "hung up" at once, so wait by hand then. */
static void serve(void)
{
	static char bytes[1024];
	for (;;) {
		struct pollfd ask = {ctl, POLLIN, 0};
		int ready = poll(&ask, 1, 1000);
		bury();
		if (ready <= 0)
			continue;
		ssize_t n = read(ctl, bytes, sizeof bytes);
		if (n > 0)
			feed(bytes, n);
		else
			usleep(20000);
	}
}

static void wake(int signal_)
{
	(void)signal_;
}

int main(int argc, char **argv)
{
	if (argc == 2 && !strcmp(argv[1], "programs"))
		return print_programs();
	if (argc == 8 && !strcmp(argv[1], "job"))
		return job(argv);
	struct sigaction on_child = {.sa_handler = wake}; /* no SA_RESTART: it must end poll() */
	sigaction(SIGCHLD, &on_child, NULL);
	signal(SIGPIPE, SIG_IGN);
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	make_folders();
	ctl = wait_port(PORT);
	if (ctl < 0) {
		fprintf(stderr, "load: no virtio port named " PORT "\n");
		return 1;
	}
	serve();
}
