/* SPDX-License-Identifier: BSD-2-Clause
 *
 * http/rule: what a complete head implies: an attempt, a body and how it ends, a method's name.
 */
#include "core/http/head.h"

bool http_head_is_attempt(const struct http_head *h)
{
	return h->kind == HTTP_REQUEST &&
	       (h->flags & (HTTP_UPGRADE | HTTP_WS_KEY | HTTP_WS_VERSION));
}

bool http_request_body(const struct http_head *h, uint64_t *ret_len)
{
	if (h->flags & HTTP_TRANSFER_ENCODING) {
		*ret_len = h->flags & HTTP_CHUNKED ? HTTP_LEN_CHUNKED : HTTP_LEN_TO_CLOSE;
		return true;
	}
	if (h->flags & HTTP_LENGTH_CONFLICT) {
		*ret_len = HTTP_LEN_TO_CLOSE;
		return true;
	}
	if (!(h->flags & HTTP_CONTENT_LENGTH) || h->content_length == 0)
		return false;
	*ret_len = h->content_length;
	return true;
}

enum http_body http_response_body(const struct http_head *h, enum http_method of, uint64_t *ret_len)
{
	if (h->status < 200 || h->status == 204 || h->status == 304 || of == HTTP_HEAD)
		return HTTP_BODY_NONE;
	if (of == HTTP_CONNECT && h->status < 300)
		return HTTP_BODY_NONE;
	if (h->flags & HTTP_TRANSFER_ENCODING)
		return h->flags & HTTP_CHUNKED ? HTTP_BODY_CHUNKED : HTTP_BODY_TO_CLOSE;
	if (!(h->flags & HTTP_CONTENT_LENGTH) || (h->flags & HTTP_LENGTH_CONFLICT))
		return HTTP_BODY_TO_CLOSE;
	*ret_len = h->content_length;
	return HTTP_BODY_LENGTH;
}

const char *http_method_name(enum http_method m)
{
	switch (m) {
	case HTTP_GET:
		return "GET";
	case HTTP_HEAD:
		return "HEAD";
	case HTTP_POST:
		return "POST";
	case HTTP_PUT:
		return "PUT";
	case HTTP_DELETE:
		return "DELETE";
	case HTTP_CONNECT:
		return "CONNECT";
	case HTTP_OPTIONS:
		return "OPTIONS";
	case HTTP_PATCH:
		return "PATCH";
	default:
		return "(other)";
	}
}
