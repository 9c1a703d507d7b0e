/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Loading traces: what a folder holds, how processes ended, and that no damage to a file harms the
 * reader.
 */
#include <dirent.h>
#include <fcntl.h>
#include <glob.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "tools/exchange/launcher.h"
#include "tools/exchange/replay.h"

static struct finding_options options;
static char folder[64];

/* ---- making traces ---- */

/* The first case of a text, built. */
static struct image play(const char *text)
{
	char path[] = "/tmp/shakedown-case-XXXXXX", *error = NULL;
	int fd = mkstemp(path);
	struct replay_file *f;
	struct image img;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
	f = replay_load(path, &error);
	unlink(path);
	if (!f || !replay_build(&f->item[0], 0, &options, &img, &error))
		fail_msg("%s", error);
	img.path = "case";
	replay_free(f);
	return img;
}

static struct trace_header *header_of(struct image *img)
{
	return (struct trace_header *)(uintptr_t)img->file;
}

/* Write its bytes to folder/name, cut off at len (0: all that is used). */
static void save(const struct image *img, const char *name, size_t len)
{
	const struct trace_header *h = (const void *)img->file;
	size_t used = h->data_off + h->half[0].cursor;
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
	assert_true(fd >= 0);
	len = len ? len : used;
	assert_int_equal(write(fd, img->file, len), len);
	if (len == used)
		assert_int_equal(ftruncate(fd, (off_t)h->file_size), 0);
	close(fd);
}

static struct trace_set *load(void)
{
	char *error = NULL;
	struct trace_set *s = trace_set_load(folder, &options, &error);

	if (!s)
		fail_msg("%s", error);
	return s;
}

static const char *const healthy = "case x\nconn A server\n+0ms A rx $REQUEST\n+1ms A tx $SWITCH\n"
				   "+2ms A tx $SERVER_TEXT\nend +1s\n";
static const char *const waiting = "case x\nconn A server\n+0ms A rx $REQUEST\nend +1s\n";

static int make_folder(void **state)
{
	(void)state;
	strcpy(folder, "/tmp/shakedown-load-XXXXXX");
	return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
	DIR *d = opendir(folder);
	const struct dirent *e;

	(void)state;
	while (d && (e = readdir(d)))
		(void)unlinkat(dirfd(d), e->d_name, 0);
	if (d)
		closedir(d);
	return rmdir(folder);
}

/* ---- folders ---- */

static void an_empty_folder_is_an_error_with_a_remedy(void **state)
{
	char *error = NULL;

	(void)state;
	assert_null(trace_set_load(folder, &options, &error));
	assert_non_null(strstr(error, "doctor"));
	free(error);
}

static void what_is_no_trace_is_skipped_and_named(void **state)
{
	struct image img = play(healthy);
	char path[128];
	struct trace_set *s;
	FILE *out;

	(void)state;
	save(&img, "1-1-1.trace", 0);
	snprintf(path, sizeof(path), "%s/foreign.trace", folder);
	out = fopen(path, "we");
	for (int i = 0; i < 1000; i++)
		fputs("not a trace at all\n", out);
	fclose(out);
	snprintf(path, sizeof(path), "%s/short.trace", folder);
	fclose(fopen(path, "we"));
	s = load();
	assert_int_equal(s->images, 1);
	assert_int_equal(s->skipped, 2);
	assert_non_null(strstr(s->error[0], ".trace: "));
	trace_set_free(s);
	replay_done(&img);
}

static void a_link_in_the_folder_is_not_followed(void **state)
{
	struct image img = play(healthy);
	char path[128];
	struct trace_set *s;

	(void)state;
	save(&img, "1-1-1.trace", 0);
	snprintf(path, sizeof(path), "%s/link.trace", folder);
	assert_int_equal(symlink("1-1-1.trace", path), 0);
	s = load();
	assert_int_equal(s->images, 1);
	assert_int_equal(s->skipped, 1);
	trace_set_free(s);
	replay_done(&img);
}

static void images_come_in_the_order_of_pid_and_load_time(void **state)
{
	struct image img = play(healthy);
	struct trace_set *s;

	(void)state;
	header_of(&img)->pid = 2000000;
	save(&img, "a.trace", 0);
	header_of(&img)->pid = 1000000;
	header_of(&img)->t_load = 20;
	save(&img, "b.trace", 0);
	header_of(&img)->t_load = 10;
	save(&img, "c.trace", 0);
	s = load();
	assert_int_equal(s->images, 3);
	assert_int_equal(s->image[0].header->t_load, 10);
	assert_int_equal(s->image[1].header->t_load, 20);
	assert_int_equal(s->image[2].process.pid, 2000000);
	assert_true(s->image[0].superseded);
	assert_false(s->image[1].superseded);
	trace_set_free(s);
	replay_done(&img);
}

/* ---- how it ended ---- */

static void the_launcher_says_how_it_ended(void **state)
{
	struct launcher l = {
		.pid = 3999999, .status_known = true, .status = 9, .t_end = 70000000000};
	struct image img = play(waiting);
	struct trace_set *s;

	(void)state;
	header_of(&img)->pid = l.pid;
	save(&img, "a.trace", 0);
	assert_int_equal(launcher_write(folder, &l), 0);
	s = load();
	assert_false(s->image[0].process.alive);
	assert_true(s->image[0].process.status_known);
	assert_int_equal(s->image[0].process.exit_status, 9);
	assert_int_equal(s->image[0].process.t_end, l.t_end);
	/* It was watched for 69 s more than the request waited. */
	assert_int_equal(s->image[0].process.connection[0].exchange[0].outcome, OUTCOME_UNANSWERED);
	trace_set_free(s);
	replay_done(&img);
}

static void each_trace_finds_the_record_of_its_own_run(void **state)
{
	struct launcher first = {.pid = 7, .t_start = 100}, again = {.pid = 7, .t_start = 300};
	struct launcher other = {.pid = 9, .t_start = 350, .boot_known = true, .boot_id = {1}};
	struct launchers all;
	/* The process itself, a child of it, the same in the second run, another boot, too early. */
	static const struct {
		uint32_t pid;
		uint64_t t_load;
		uint8_t boot;
		uint64_t start;
	} row[] = {{7, 200, 0, 100}, {8, 200, 0, 100}, {7, 400, 0, 300},
		   {8, 400, 0, 300}, {9, 400, 0, 300}, {9, 400, 1, 350},
		   {8, 400, 1, 350}, {7, 400, 1, 300}, {7, 50, 0, 0}};

	(void)state;
	assert_int_equal(launcher_write(folder, &first), 0);
	assert_int_equal(launcher_write(folder, &again), 0);
	assert_int_equal(launcher_write(folder, &other), 0);
	again.t_signal = 320;
	assert_int_equal(launcher_write(folder, &again), 0);
	launchers_read(folder, &all);
	assert_int_equal(all.n, 3);
	for (size_t i = 0; i < CORE_ARRAY_LEN(row); i++) {
		struct trace_header h = {
			.pid = row[i].pid, .t_load = row[i].t_load, .boot_id = {row[i].boot}};
		const struct launcher *l = launchers_find(&all, &h);

		assert_int_equal(l->t_start, row[i].start);
		assert_int_equal(l->t_signal, row[i].start == 300 ? 320 : 0);
	}
	launchers_free(&all);
}

static void without_any_word_the_last_record_is_the_end(void **state)
{
	struct image img = play(waiting);
	struct trace_set *s;

	(void)state;
	header_of(&img)->pid = 3999999;
	save(&img, "a.trace", 0);
	s = load();
	assert_false(s->image[0].process.exited);
	/* Nobody watched long enough to say that it was never answered. */
	assert_int_equal(s->image[0].process.connection[0].exchange[0].outcome, OUTCOME_PENDING);
	trace_set_free(s);
	replay_done(&img);
}

static void a_damaged_launch_file_is_no_launch_file(void **state)
{
	struct launchers l;
	char path[128];
	FILE *out;

	(void)state;
	snprintf(path, sizeof(path), "%s/launch", folder);
	out = fopen(path, "we");
	fputs("pid 99999999999999999999\nstatus -1\nend x\n\001\n", out);
	fclose(out);
	launchers_read(folder, &l);
	assert_int_equal(l.n, 0);
	launchers_free(&l);
}

/* ---- events ---- */

static void events_are_in_time_order_whatever_order_they_were_recorded_in(void **state)
{
	struct image img = play("case x\nconn A server\n+1ms A tx $SWITCH\n+0ms A rx $REQUEST\n"
				"+2ms A tx $SERVER_TEXT\nend +1s\n");
	const struct connection *c = &img.process.connection[0];

	(void)state;
	for (uint32_t i = 1; i < c->events; i++)
		assert_true(c->event[i - 1].t_ns <= c->event[i].t_ns);
	assert_int_equal(c->exchange[0].outcome, OUTCOME_UPGRADED);
	replay_done(&img);
}

static void a_head_that_came_in_pieces_is_read_as_one(void **state)
{
	struct image img = play("case x\nconn A server\n+0ms A rx \"GET /a HTTP/1.1\\r\\nUpg\"\n"
				"+1ms A rx \"rade: websocket\\r\\nX: y\\r\\n\\r\\n\"\nend +1s\n");
	const struct exchange *x = &img.process.connection[0].exchange[0];

	(void)state;
	assert_true(x->attempt);
	assert_int_equal(x->request->field_count, 2);
	assert_true(span_is(x->request->field[0].name, "Upgrade"));
	assert_true(span_is(x->request->target, "/a"));
	assert_int_equal(x->ev_start, 1);
	assert_int_equal(x->ev_head, 2);
	replay_done(&img);
}

static void exchanges_that_were_only_counted_leave_a_gap_that_is_understood(void **state)
{
	struct image img = play("case x\nconn A server\n+0ms A skip-rx 500\n+0ms A skip-tx 900\n"
				"+1s A rx $REQUEST\n+1001ms A tx \"HTTP/1.1 403 No\\r\\n"
				"Content-Length: 0\\r\\n\\r\\n\"\n+2s A skip-rx 100\n"
				"+2s A skip-tx 100\n+3s A rx $REQUEST\n+3001ms A tx $SWITCH\n"
				"+3002ms A tx $SERVER_TEXT\nend +9s\n");
	const struct connection *c = &img.process.connection[0];

	(void)state;
	assert_false(c->partial);
	assert_int_equal(c->exchanges, 2);
	assert_int_equal(c->exchange[0].outcome, OUTCOME_REFUSED);
	assert_int_equal(c->exchange[1].outcome, OUTCOME_UPGRADED);
	assert_int_equal(c->exchange[0].req_off, 500);
	assert_int_equal(c->exchange[1].frames[DIR_TX], 1);
	replay_done(&img);
}

static void a_hole_inside_a_message_makes_the_connection_partial(void **state)
{
	struct image img = play("case x\nconn A server\n+0ms A rx \"GET /a HT\"\n"
				"+0ms A skip-rx 3\n+1ms A rx \"\\r\\n\\r\\n\"\nend +1s\n");

	(void)state;
	assert_true(img.process.connection[0].partial);
	assert_non_null(img.process.connection[0].partial_reason);
	replay_done(&img);
}

static void a_log_line_without_an_owner_goes_to_its_neighbours(void **state)
{
	struct image img = play("case x\nconn A server\nconn B server\n+0ms A rx $REQUEST\n"
				"+10ms - text \"before\\n\"\n+20ms A tx $SWITCH\n"
				"+30ms - text \"after\\n\"\n+5s B rx $REQUEST\n"
				"+8s - text \"nobody\\n\"\nend +9s\n");
	const struct connection *c = img.process.connection;
	unsigned texts[2] = {0, 0};

	(void)state;
	for (unsigned k = 0; k < 2; k++) {
		for (uint32_t i = 0; i < c[k].events; i++) {
			texts[k] += c[k].event[i].kind == EVENT_TEXT;
			assert_false(c[k].event[i].flags & EVENT_OWNER);
		}
	}
	assert_int_equal(texts[0], 2);
	assert_int_equal(texts[1], 0);
	replay_done(&img);
}

/* ---- damage ---- */

static uint64_t seed = 88172645463325252;

static uint64_t chance(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

static void detect_all(const struct image *img)
{
	static struct finding f[FINDING_MAX];

	for (uint32_t i = 0; i < img->process.connections; i++) {
		const struct connection *c = &img->process.connection[i];

		finding_detect_connection(&img->process, c, &options, f);
		for (uint32_t j = 0; j < c->exchanges; j++) {
			uint32_t n = finding_detect(&img->process, &c->exchange[j], &options, f);

			for (uint32_t k = 0; k < n; k++) {
				for (const char *p = f[k].message; *p; p++)
					assert_in_range(*p, ' ', '~');
				assert_true(f[k].primary == (k == 0));
				assert_true(f[k].evidences > 0);
			}
		}
	}
}

/* Change some bytes of a good trace and read it again. */
static void damage(const struct replay_case *c)
{
	struct image img, hurt;
	char *error = NULL;
	size_t used, data;
	uint8_t *file;

	if (!replay_build(c, 0, &options, &img, &error))
		fail_msg("%s", error);
	data = header_of(&img)->data_off;
	used = data + header_of(&img)->half[0].cursor;
	file = (uint8_t *)(uintptr_t)img.file;
	for (unsigned round = 0; round < 20; round++) {
		for (unsigned k = 0; k < 1 + round; k++)
			file[data + chance() % (used - data)] = (uint8_t)chance();
		hurt = (struct image){.path = c->name, .file = img.file, .len = img.len};
		hurt.process.t_end = UINT64_C(100000000000);
		hurt.process.alive = round & 1;
		if (image_build(&hurt, &options, &error))
			detect_all(&hurt);
		image_done(&hurt);
	}
	replay_done(&img);
}

static void no_damage_to_a_trace_harms_the_reader(void **state)
{
	glob_t g;

	(void)state;
	assert_int_equal(glob("tests/cases/findings/*.case", 0, NULL, &g), 0);
	for (size_t i = 0; i < g.gl_pathc; i++) {
		char *error = NULL;
		struct replay_file *f = replay_load(g.gl_pathv[i], &error);

		assert_non_null(f);
		for (unsigned k = 0; k < f->cases; k++)
			damage(&f->item[k]);
		replay_free(f);
	}
	globfree(&g);
}

static void a_trace_cut_off_anywhere_gives_what_is_left(void **state)
{
	struct image img = play(healthy);
	size_t data = header_of(&img)->data_off, used = data + header_of(&img)->half[0].cursor;

	(void)state;
	for (size_t len = TRACE_HEADER_SIZE; len < used; len += len < data ? data / 7 : 1) {
		/* The bytes behind len are not to be touched. */
		uint8_t *copy = malloc(len);
		struct image cut = {.path = "cut", .file = copy, .len = len};
		char *error = NULL;

		memcpy(copy, img.file, len);
		if (image_build(&cut, &options, &error)) {
			assert_true(cut.process.connections <= 1);
			image_done(&cut);
		}
		free(error);
		free(copy);
	}
	replay_done(&img);
}

/* The table says so first, the record follows: a live trace can be read in between.  Every row of the
 * table, because the reader's own array moves only now and then. */
static void an_open_connection_without_a_record_yet_does_no_harm(void **state)
{
	struct image img = play(waiting);
	struct trace_header *h = header_of(&img);
	struct trace_set *s;

	(void)state;
	h->ended = 0;
	for (uint32_t i = 0; i < TRACE_CONNECTIONS; i++) {
		struct trace_connection *row =
			(struct trace_connection *)(uintptr_t)trace_connection_at(img.file, img.len,
										  i);

		assert_non_null(row);
		row->id = 100 + i;
		row->flags = TRACE_CONN_RECORDED;
	}
	save(&img, "a.trace", 0);
	memset((uint8_t *)h + h->data_off, 0, h->half[0].cursor);
	save(&img, "b.trace", 0);
	s = load();
	assert_int_equal(s->images, 2);
	assert_int_equal(s->skipped, 0);
	trace_set_free(s);
	replay_done(&img);
}

int main(void)
{
#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)
	static const struct CMUnitTest tests[] = {
		IN_FOLDER(an_empty_folder_is_an_error_with_a_remedy),
		IN_FOLDER(what_is_no_trace_is_skipped_and_named),
		IN_FOLDER(a_link_in_the_folder_is_not_followed),
		IN_FOLDER(images_come_in_the_order_of_pid_and_load_time),
		IN_FOLDER(the_launcher_says_how_it_ended),
		IN_FOLDER(each_trace_finds_the_record_of_its_own_run),
		IN_FOLDER(without_any_word_the_last_record_is_the_end),
		IN_FOLDER(a_damaged_launch_file_is_no_launch_file),
		cmocka_unit_test(events_are_in_time_order_whatever_order_they_were_recorded_in),
		cmocka_unit_test(a_head_that_came_in_pieces_is_read_as_one),
		cmocka_unit_test(exchanges_that_were_only_counted_leave_a_gap_that_is_understood),
		cmocka_unit_test(a_hole_inside_a_message_makes_the_connection_partial),
		cmocka_unit_test(a_log_line_without_an_owner_goes_to_its_neighbours),
		cmocka_unit_test(no_damage_to_a_trace_harms_the_reader),
		cmocka_unit_test(a_trace_cut_off_anywhere_gives_what_is_left),
		IN_FOLDER(an_open_connection_without_a_record_yet_does_no_harm),
	};

	finding_options_default(&options);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
