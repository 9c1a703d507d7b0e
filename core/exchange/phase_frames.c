/* SPDX-License-Identifier: BSD-2-Clause
 *
 * exchange/phase_frames: frames of either direction, told when they are certain and only followed
 * while the answer to the attempt is open.
 */
#include "core/exchange/phase_internal.h"

static bool is_close(const struct ws_frame *frame)
{
	return ws_opcode(frame) == WS_CLOSE;
}

static void frame_ready(struct feed *f, const struct ws_frame *frame, enum dir dir, uint64_t start)
{
	if (is_close(frame))
		f->m->bits |= BIT_CLOSING;
	phase_settle(f, dir, start);
	phase_tell_frame(f, PHASE_FRAME, dir, start, frame);
}

/* The payload is complete: the next byte starts a frame. */
static void frame_over(struct feed *f, struct ws_frame *frame, enum dir dir)
{
	phase_tell_frame(f, PHASE_FRAME_END, dir, f->m->off[dir], frame);
	ws_frame_init(frame);
}

static size_t payload_bytes(struct ws_frame *frame, size_t n)
{
	if (n > frame->left)
		n = (size_t)frame->left;
	frame->left -= n;
	return n;
}

size_t phase_frames_step(struct feed *f, struct ws_frame *frame, uint8_t *step, uint8_t raw)
{
	uint64_t *off = &f->m->off[f->dir];
	size_t used;

	if (frame->complete) {
		used = payload_bytes(frame, f->n);
		*off += used;
	} else {
		used = ws_frame_feed(frame, f->p, f->n);
		*off += used;
		if (!frame->complete)
			return used;
		if (frame->faults & WS_NOT_A_FRAME) {
			*step = raw;
			phase_tell(f, PHASE_STRAY, f->dir, *off - frame->have,
				   answer_ordinal(f->m));
			return used;
		}
		frame_ready(f, frame, f->dir, *off - frame->have);
	}
	if (!frame->left)
		frame_over(f, frame, f->dir);
	return used;
}

/* Follow early bytes as frames.  The last complete frame is kept until a byte follows it; bytes that
 * are no frame leave their offset in left. */
void phase_frames_early(struct feed *f)
{
	struct ws_frame *frame = &f->m->req.frame;
	size_t i = 0;

	while (i < f->n && !(frame->faults & WS_NOT_A_FRAME)) {
		if (frame->complete && !frame->left)
			ws_frame_init(frame);
		if (frame->complete) {
			i += payload_bytes(frame, f->n - i);
			continue;
		}
		i += ws_frame_feed(frame, f->p + i, f->n - i);
		if (frame->faults & WS_NOT_A_FRAME)
			frame->left = f->m->off[f->dir] + i - frame->have;
	}
}

/* Early bytes were frames: tell what is known of them. */
void phase_frames_confirm(struct feed *f)
{
	struct phase_machine *m = f->m;
	struct ws_frame *frame = &m->req.frame;
	enum dir dir = request_dir(m);

	if (!frame->complete)
		return;
	if (frame->faults & WS_NOT_A_FRAME) {
		m->req_step = REQ_RAW;
		phase_tell(f, PHASE_STRAY, dir, frame->left, answer_ordinal(m));
		return;
	}
	frame_ready(f, frame, dir, m->off[dir] - (frame->len - frame->left) - frame->have);
	if (!frame->left)
		frame_over(f, frame, dir);
}
