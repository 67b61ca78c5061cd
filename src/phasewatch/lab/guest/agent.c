/*
 * agent HZ [JITTER]: the guest's own view of itself, one JSON line per tick on the virtio port `lab.agent`.
 *
 * JITTER is how far a reading may stray from its time, in percent of the period, as with a
 * collector that does other things too.
 *
 * Counters go out raw and cumulative; turning them into rates is the host's work. The agent must
 * cost almost nothing (it shares the vCPU it measures), so it keeps its files open, reads each
 * once per tick with pread, and never waits for a reader: a line that does not fit is dropped.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define PORT "lab.agent"
#define MAX_HZ 20
#define TEXT 16384

typedef unsigned long long u64;

/* One /proc file, opened once; `text` holds what the latest tick read. */
struct source {
	const char *path;
	int fd;
	char text[TEXT];
};

static struct source stat_ = {"/proc/stat", -1, ""};
static struct source meminfo = {"/proc/meminfo", -1, ""};
static struct source diskstats = {"/proc/diskstats", -1, ""};
static struct source netdev = {"/proc/net/dev", -1, ""};
static struct source snmp = {"/proc/net/snmp", -1, ""};
static struct source sockstat = {"/proc/net/sockstat", -1, ""};

static int64_t mono_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

/* seq_file answers at most a page or so per read, so read until the end. */
static void refresh(struct source *s)
{
	size_t have = 0;
	ssize_t n = 0;
	if (s->fd < 0)
		s->fd = open(s->path, O_RDONLY | O_CLOEXEC);
	while (s->fd >= 0 && have < TEXT - 1 &&
	       (n = pread(s->fd, s->text + have, TEXT - 1 - have, (off_t)have)) > 0)
		have += (size_t)n;
	s->text[have] = 0;
}

/* Where the text after `label` begins, if `label` stands first on a line (blanks skipped). */
static const char *after(const char *text, const char *label)
{
	size_t n = strlen(label);
	while (text && *text) {
		const char *word = text + strspn(text, " \t");
		if (!strncmp(word, label, n))
			return word + n;
		text = strchr(text, '\n');
		text = text ? text + 1 : NULL;
	}
	return NULL;
}

/* The number in column `column` (from 0) of the rest of a line; 0 where there is none. */
static u64 column(const char *rest, int column)
{
	char *end;
	u64 value = 0;
	for (; rest && column >= 0; column--, rest = end) {
		value = strtoull(rest, &end, 10);
		if (end == rest)
			return 0;
	}
	return value;
}

static u64 field(const struct source *s, const char *label, int n)
{
	return column(after(s->text, label), n);
}

/* /proc/diskstats begins with two device numbers, so the name is not first on its line. */
static u64 disk(int n)
{
	const char *name = strstr(diskstats.text, " vda ");
	return name ? column(name + 5, n) : 0;
}

/* /proc/net/snmp has a line of names, then a line of numbers, both starting with "Tcp:". */
static u64 tcp_active(void)
{
	return column(after(after(snmp.text, "Tcp:"), "Tcp:"), 4);
}

static void refresh_all(void)
{
	refresh(&stat_);
	refresh(&meminfo);
	refresh(&diskstats);
	refresh(&netdev);
	refresh(&snmp);
	refresh(&sockstat);
}

/* Kernel time is system + irq + softirq: work done on behalf of somebody, in any context. */
static u64 kernel_ticks(void)
{
	return field(&stat_, "cpu ", 2) + field(&stat_, "cpu ", 5) + field(&stat_, "cpu ", 6);
}

static int compose(char *line, size_t room, u64 seq, int64_t now)
{
	return snprintf(line, room,
		"{\"seq\":%llu,\"mono_ns\":%lld,\"cpu_user\":%llu,\"cpu_sys\":%llu,"
		"\"cpu_iowait\":%llu,\"intr\":%llu,\"ctxt\":%llu,\"forks\":%llu,"
		"\"mem_free\":%llu,\"cached\":%llu,\"dirty\":%llu,\"rd_sectors\":%llu,"
		"\"wr_sectors\":%llu,\"tx_pkts\":%llu,\"tcp_active\":%llu,\"tcp_inuse\":%llu}\n",
		seq, (long long)now, field(&stat_, "cpu ", 0) + field(&stat_, "cpu ", 1),
		kernel_ticks(), field(&stat_, "cpu ", 4), field(&stat_, "intr ", 0),
		field(&stat_, "ctxt ", 0), field(&stat_, "processes ", 0),
		field(&meminfo, "MemFree:", 0), field(&meminfo, "Cached:", 0),
		field(&meminfo, "Dirty:", 0), disk(2), disk(6), field(&netdev, "eth0:", 9),
		tcp_active(), field(&sockstat, "TCP: inuse ", 0));
}

/* Whether the port /dev/ENTRY carries the name `want`. */
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

static void sleep_until(int64_t ns)
{
	struct timespec t = {ns / 1000000000, ns % 1000000000};
	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR)
		;
}

/* `seq` counts ticks, not lines: a dropped line or a missed deadline shows as a gap. */
static void tick_for_ever(int port, int64_t period, double jitter)
{
	static char line[2048];
	u64 seq = 0;
	srand48(mono_ns());
	for (int64_t due = mono_ns() + period;; due += period, seq++) {
		sleep_until(due + (int64_t)((2 * drand48() - 1) * jitter * (double)period));
		for (; mono_ns() - due > period; due += period)
			seq++;
		refresh_all();
		int n = compose(line, sizeof line, seq, mono_ns());
		if (write(port, line, (size_t)n) < 0 && errno == ENODEV)
			return;
	}
}

int main(int argc, char **argv)
{
	double hz = argc > 1 ? atof(argv[1]) : 2;
	if (!(hz >= 0.1 && hz <= MAX_HZ)) {
		fprintf(stderr, "agent: HZ must be 0.1..%d\n", MAX_HZ);
		return 2;
	}
	double jitter = argc > 2 ? atof(argv[2]) / 100 : 0;
	if (!(jitter >= 0 && jitter <= 0.45)) {
		fprintf(stderr, "agent: JITTER must be 0..45 percent\n");
		return 2;
	}
	int port = wait_port(PORT);
	if (port < 0) {
		fprintf(stderr, "agent: no virtio port named " PORT "\n");
		return 1;
	}
	tick_for_ever(port, (int64_t)(1e9 / hz), jitter);
	return 1;
}
