/* SPDX-License-Identifier: BSD-2-Clause
 *
 * server: an echo server on libwebsockets; the path of the request picks what goes wrong.
 * Usage: server PORT
 */
#include <libwebsockets.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum {
	ROOM = 256
};

struct session {
	size_t len;
	unsigned received;
	bool is_text;
	bool is_ending;
	unsigned char bytes[LWS_PRE + ROOM];
};

static volatile sig_atomic_t stopped;

static void stop(int number)
{
	(void)number;
	stopped = 1;
}

static bool path_is(struct lws *wsi, const char *path)
{
	char uri[64];

	return lws_hdr_copy(wsi, uri, sizeof(uri), WSI_TOKEN_GET_URI) > 0 && strcmp(uri, path) == 0;
}

/* Before the handshake is answered: a nonzero result refuses it. */
static int filter(struct lws *wsi)
{
	if (path_is(wsi, "/dropped"))
		return 1;
	if (path_is(wsi, "/forbidden")) {
		lws_return_http_status(wsi, HTTP_STATUS_FORBIDDEN, "not here");
		return 1;
	}
	return 0;
}

static int established(struct lws *wsi, struct session *session)
{
	session->is_ending = path_is(wsi, "/ends-later");
	if (path_is(wsi, "/hangup"))
		return -1;
	if (path_is(wsi, "/full")) {
		lws_close_reason(wsi, LWS_CLOSE_STATUS_POLICY_VIOLATION, (unsigned char *)"full",
				 4);
		return -1;
	}
	return 0;
}

static int receive(struct lws *wsi, struct session *session, const void *in, size_t len)
{
	if (session->is_ending && session->received++ > 0)
		return -1;
	session->len = len < ROOM ? len : ROOM;
	memcpy(session->bytes + LWS_PRE, in, session->len);
	session->is_text = !lws_frame_is_binary(wsi);
	lws_callback_on_writable(wsi);
	return 0;
}

static int echo(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t len)
{
	struct session *session = user;

	switch (reason) {
	case LWS_CALLBACK_FILTER_PROTOCOL_CONNECTION:
		return filter(wsi);
	case LWS_CALLBACK_ESTABLISHED:
		return established(wsi, session);
	case LWS_CALLBACK_RECEIVE:
		return receive(wsi, session, in, len);
	case LWS_CALLBACK_SERVER_WRITEABLE:
		if (session->len > 0)
			lws_write(wsi, session->bytes + LWS_PRE, session->len,
				  session->is_text ? LWS_WRITE_TEXT : LWS_WRITE_BINARY);
		session->len = 0;
		return 0;
	default:
		return lws_callback_http_dummy(wsi, reason, user, in, len);
	}
}

static const struct lws_protocols protocols[] = {
	{"echo", echo, sizeof(struct session), ROOM, 0, NULL, 0},
	{NULL, NULL, 0, 0, 0, NULL, 0},
};

int main(int argc, char **argv)
{
	struct lws_context_creation_info info;
	struct lws_context *context;

	if (argc != 2)
		return 2;
	lws_set_log_level(LLL_ERR | LLL_WARN, NULL);
	memset(&info, 0, sizeof(info));
	info.port = atoi(argv[1]);
	info.iface = "127.0.0.1";
	info.protocols = protocols;
	info.gid = (gid_t)-1;
	info.uid = (uid_t)-1;
	signal(SIGTERM, stop);
	context = lws_create_context(&info);
	if (context == NULL)
		return 1;
	while (!stopped && lws_service(context, 0) >= 0)
		;
	lws_context_destroy(context);
	return 0;
}
