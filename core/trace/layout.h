/* SPDX-License-Identifier: BSD-2-Clause
 *
 * trace/layout: the bytes of a trace file.  docs/trace-format.md is the prose of this header.
 *
 *     0            header                     one page
 *     4 KiB        modules                    TRACE_MODULES rows
 *     ...          counts                     TRACE_ROUTES rows of plain-exchange counters
 *     ...          connections                TRACE_CONNECTIONS rows, one per open connection
 *     data_off     half 0                     half_size bytes of records
 *     ...          half 1                     half_size bytes of records
 *
 * (1) One sparse file per process image, mapped once, zero-filled, 8-byte aligned throughout, in the
 *     byte order of the machine that wrote it (header.endian tells).
 * (2) A record is published by its first word, last.  Whatever moment the process dies, every byte of
 *     a half belongs to a published record, to a reserved one whose length is known, or is zero.
 * (3) Secrets were masked before they were copied here.
 */
#ifndef CORE_TRACE_LAYOUT_H
#define CORE_TRACE_LAYOUT_H

#include "core/core.h"

#define TRACE_MAGIC   UINT64_C(0x4e574f444b414853) /* "SHAKDOWN" in little-endian bytes */
#define TRACE_VERSION 1u
#define TRACE_ENDIAN  UINT32_C(0x01020304)
#define TRACE_SUFFIX  ".trace"

enum {
	TRACE_HEADER_SIZE = 4096,
	TRACE_MODULES = 512,
	TRACE_ROUTES = 256, /* the last row is "(other)" */
	TRACE_CONNECTIONS = 65536,
	TRACE_BUCKETS = 28, /* latency histogram: bucket i counts [2^i, 2^(i+1)) microseconds */
};

enum trace_coverage_state {
	TRACE_FULL = 0,
	TRACE_PARTIAL = 1,
	TRACE_BLIND = 2,
};

/* Why coverage is not full: bits of header.coverage_reasons. COVERAGE_REASON(id, bit, name, text) */
enum trace_coverage_reason {
#define COVERAGE_REASON(id, bit, name, text) TRACE_REASON_##id = bit,
#include "core/trace/coverage.def"
#undef COVERAGE_REASON
};

struct trace_module {	     /* 256 bytes */
	uint64_t start, end; /* addresses of the executable mapping */
	uint64_t file_off;   /* of start in the file */
	uint8_t build_id[20];
	uint8_t build_id_len; /* 0: none found */
	uint8_t spare[3];
	char path[208]; /* NUL-terminated, truncated at the front when too long */
};

struct trace_route { /* 256 bytes; plain exchanges, counted only */
	uint64_t count;
	uint64_t bytes_rx, bytes_tx;
	uint8_t method;		 /* enum http_method */
	uint8_t used;		 /* 0: free row */
	uint8_t status_class[6]; /* saturating share: unused slots 0; [1]..[5] = 1xx..5xx seen */
	char path[112];		 /* without query; NUL-terminated */
	uint32_t bucket[TRACE_BUCKETS];
};

struct trace_connection { /* 64 bytes; survives SIGKILL */
	uint64_t cookie;
	uint64_t t_open;
	uint64_t t_last;
	uint64_t off[2];
	uint32_t id; /* 0: free row */
	uint32_t fd;
	uint8_t role;
	uint8_t phase;
	uint8_t flags; /* enum trace_connection_flag */
	uint8_t spare[5];
	uint64_t spare2;
};
enum trace_connection_flag {
	TRACE_CONN_ATTEMPT = 1u << 0, /* an attempt without an answer is open */
	TRACE_CONN_SWITCHED = 1u << 1,
	TRACE_CONN_PARTIAL = 1u << 2,
	TRACE_CONN_EOF = 1u << 3,      /* the peer's FIN was delivered */
	TRACE_CONN_RECORDED = 1u << 4, /* records of this connection exist (or were discarded) */
};

struct trace_header { /* within one page */
	uint64_t magic;
	uint32_t version;
	uint32_t endian;
	uint64_t features; /* must-understand bits; a reader refuses bits it does not know */
	uint64_t file_size;
	uint64_t modules_off, routes_off, connections_off, data_off;
	uint64_t half_size;
	uint8_t boot_id[16];
	uint64_t netns; /* inode of the network namespace */
	uint32_t pid, ppid;
	uint64_t start_ticks; /* /proc/PID/stat field 22 */
	uint64_t t_load;      /* CLOCK_MONOTONIC ns when the library was loaded */
	uint64_t t_created;
	int64_t realtime_offset; /* CLOCK_REALTIME - CLOCK_MONOTONIC in ns, at creation */
	uint32_t doors;		 /* enum trace_door */
	uint32_t max_body;	 /* bytes of a body recorded per direction and attempt */
	uint32_t max_payload;	 /* bytes of a well-formed frame's payload recorded */
	uint32_t options;	 /* enum trace_option */
	char exe[512];
	char library[512]; /* path of the library that wrote this */
	char note[256];	   /* free text: why coverage is not full, in the writer's words */
	/* ---- changing while the process lives; each word is written atomically ---- */
	uint32_t coverage; /* enum trace_coverage_state */
	uint32_t modules;  /* rows in use */
	uint64_t coverage_reasons;
	uint64_t t_end; /* 0 while it lives; set by the end record */
	uint32_t ended; /* 1: exit was seen */
	int32_t exit_code;
	uint64_t lost_events, lost_bytes;
	uint64_t discarded_halves; /* flight recorder: how often an older half was thrown away */
	uint64_t discarded_records;
	uint64_t opened, closed; /* connections */
	uint64_t exchanges;	 /* all, attempts included */
	uint64_t attempts;
	uint64_t h2c_offers; /* counted, not recorded */
	uint64_t calls;	     /* calls on tracked connections */
	uint32_t active_half;
	uint32_t keep_first; /* 1: stop when full instead of discarding */
	struct trace_half {
		uint64_t
			cursor; /* bytes reserved; TRACE_CURSOR_CLOSED is set while it is not active */
		uint64_t sequence;  /* of this use: higher is younger; 0 never used */
		uint64_t populated; /* bytes that may be stored to */
		uint64_t stuck; /* writer's: 1 + offset of the record that forbade reuse, 0 none */
	} half[2];
	uint32_t growing;	  /* writer's try-lock: populating or switching halves */
	uint32_t tls_connections; /* those of opened, in role server, that began with TLS */
	/* Set once: the names of the calls, in the order of the numbers in `call` fields, each ended by
	 * a newline.  Numbers change between versions of the library, names do not. */
	char call_names[2048];
};
_Static_assert(sizeof(struct trace_header) <= TRACE_HEADER_SIZE, "the header is one page");
_Static_assert(sizeof(struct trace_module) == 256, "file format");
_Static_assert(sizeof(struct trace_route) == 256, "file format");
_Static_assert(sizeof(struct trace_connection) == 64, "file format");

/* Where a writer puts the tables; a reader believes the header.  No row lies in two pages. */
#define TRACE_ROUTES_OFF      (TRACE_HEADER_SIZE + TRACE_MODULES * sizeof(struct trace_module))
#define TRACE_CONNECTIONS_OFF (TRACE_ROUTES_OFF + TRACE_ROUTES * sizeof(struct trace_route))

/* In half.cursor: no reservation succeeds here until the half is opened again. */
#define TRACE_CURSOR_CLOSED (UINT64_C(1) << 63)

enum trace_door {
	TRACE_DOOR_LIBC = 1u << 0,
	TRACE_DOOR_GO = 1u << 1,
	TRACE_DOOR_INJECTED = 1u << 2,
	TRACE_DOOR_SECCOMP = 1u << 3,
};
enum trace_option {
	TRACE_OPT_ALL = 1u << 0, /* --all: plain exchanges recorded too */
	TRACE_OPT_NO_REDACT = 1u << 1,
};

/* ---- records ---- */

/* First word of a record: size in bytes (a multiple of 8, this word included) | state, kind, flags. */
enum {
	TRACE_RESERVED = 1,
	TRACE_PUBLISHED = 2,
	TRACE_STATE_MASK = 7,
	TRACE_RECORD_MAX = 64 * 1024,
};
struct trace_record {
	uint32_t size_state;
	uint16_t kind;
	uint16_t flags; /* per kind */
};

enum trace_kind {
#define RECORD(id, number, name, payload, says) TRACE_##id = number,
#include "core/trace/record.def"
#undef RECORD
};

struct trace_address {
	uint16_t family; /* AF_INET, AF_INET6, AF_UNIX; 0 unknown */
	uint16_t port;	 /* host order */
	uint8_t ip[16];	 /* network order, IPv4 in the first four */
	char path[44];	 /* AF_UNIX, '@' for abstract; NUL-terminated, truncated */
};

enum trace_origin {
	TRACE_ACCEPTED,
	TRACE_CONNECTED,
	TRACE_PAIRED,	 /* socketpair */
	TRACE_RECEIVED,	 /* SCM_RIGHTS */
	TRACE_INHERITED, /* open across fork */
	TRACE_FOUND,	 /* in use before we saw it open */
};
struct trace_open {
	struct trace_record rec;
	uint64_t t_ns;
	uint64_t cookie;
	uint64_t stack;
	uint32_t conn, tid;
	uint32_t fd, listener; /* listener: UINT32_MAX when not accepted */
	uint16_t call;
	uint8_t role, origin;
	uint32_t inherited_from; /* conn id in the parent's file, 0 none */
	struct trace_address peer, local;
};

struct trace_segment { /* followed by len bytes, padded to 8 */
	uint32_t rel;  /* from the first byte of the data */
	uint32_t len;
};
struct trace_data {
	struct trace_record rec; /* flags: enum trace_data_flag */
	uint64_t t_ns;		 /* TX: at entry; RX: at exit */
	uint64_t off;		 /* stream offset of the first byte */
	uint64_t stack;
	uint32_t conn, tid;
	uint32_t moved;
	uint16_t call;
	uint8_t dir;
	uint8_t segments;
	/* struct trace_segment ... */
};
enum trace_data_flag {
	TRACE_DATA_OVERLAP = 1u << 0, /* another thread was inside a read of this connection */
	TRACE_DATA_RAW = 1u << 1,    /* appended without the connection's lock: off is unreliable */
	TRACE_DATA_LATE = 1u << 2,   /* written later from the pool of partial heads */
	TRACE_DATA_UNSEEN = 1u << 3, /* bytes were not visible (sendfile, splice, bad pointer) */
};

enum trace_result_what {
	TRACE_WAITING, /* a read was entered; no answer yet */
	TRACE_EOF,
	TRACE_ERROR, /* err */
};
struct trace_result {
	struct trace_record rec;
	uint64_t t_ns;
	uint64_t stack;
	uint32_t conn, tid;
	int32_t err;
	uint16_t call;
	uint8_t dir, what;
};

enum trace_close_what {
	TRACE_CLOSED, /* one descriptor; left says how many remain */
	TRACE_SHUT,   /* shutdown: how */
	TRACE_DUPED,  /* a further descriptor */
	TRACE_CLOSE_UNSEEN,
	TRACE_CLOSE_EXEC,
};
struct trace_close {
	struct trace_record rec;
	uint64_t t_ns;
	uint64_t stack;
	uint32_t conn, tid;
	uint32_t fd;
	uint32_t unread; /* bytes still queued for reading, when it was asked */
	uint16_t call;
	uint8_t what, how; /* how: SHUT_RD.. of shutdown */
	uint32_t left;
};

enum trace_stack_flag {
	/* The words are return addresses, innermost first, found along frame pointers; reg holds no
	 * more than rbp, rsp and rip, and the bitmap is all ones. */
	TRACE_STACK_CHAIN = 1u << 0,
};
struct trace_stack {
	struct trace_record rec; /* flags: enum trace_stack_flag */
	uint64_t id;		 /* never 0 */
	uint64_t reg
		[18]; /* DWARF x86-64 numbering: rax rdx rcx rbx rsi rdi rbp rsp r8-r15 rip; [17] 0 */
	uint32_t words; /* length of the copied window in words, starting at rsp */
	uint32_t kept;	/* words that follow the bitmap; the others are zero */
			/* uint64_t bitmap[(words + 63) / 64]; uint64_t word[kept]; */
};

struct trace_text {
	struct trace_record rec;
	uint64_t t_ns;
	uint32_t conn; /* the one open attempt of this thread, 0 when it is not the only one */
	uint32_t tid;
	uint32_t len; /* bytes that follow, padded to 8 */
	uint16_t fd;
	uint16_t spare;
};

enum trace_lost_why {
	TRACE_LOST_FULL,   /* no page could be had, or --keep first is full */
	TRACE_LOST_RACE,   /* outran the populated pages, or half switch in progress */
	TRACE_LOST_HEADS,  /* pool of partial heads exhausted */
	TRACE_LOST_STACKS, /* no scratch memory for a stack */
	TRACE_LOST_TABLE,  /* more connections or descriptors than the tables hold */
};
struct trace_lost {
	struct trace_record rec;
	uint64_t t_ns;
	uint64_t events, bytes; /* since the last such record */
	uint32_t why;
	uint32_t spare;
};

enum trace_process_what {
	TRACE_FORKED, /* arg: pid of the child, 0 not known */
	TRACE_BORN,   /* this image is a child: arg: pid of the parent */
	TRACE_EXECED, /* text: path */
	TRACE_EXITED, /* arg: exit code */
	TRACE_SETUID, /* privileges changed: arg: new uid */
	TRACE_SECCOMP,
};
struct trace_process {
	struct trace_record rec;
	uint64_t t_ns;
	int64_t arg;
	uint32_t tid;
	uint32_t what;
	uint32_t len; /* bytes of text that follow, padded to 8 */
	uint32_t spare;
};

/* Witnesses: rows of witness.def. */
enum trace_witness_id {
#define WITNESS(id, number, what, arguments, function) TRACE_WITNESS_##id = number,
#include "core/trace/witness.def"
#undef WITNESS
};
struct trace_witness {
	struct trace_record rec;
	uint64_t t_ns;
	uint64_t stack;
	uint64_t task;	 /* address of the goroutine that entered it */
	uint64_t goid;	 /* its number, 0 when this Go's layout is not known */
	uint64_t arg[2]; /* as many as the row keeps, the others 0 */
	uint32_t conn, tid;
	uint16_t witness; /* enum trace_witness_id */
	uint16_t spare;
	uint32_t spare2;
};

/* Several records of one unit may follow each other: a delay begins, and ends. */
enum trace_fault_what {
	TRACE_FAULT_ACTED,    /* at once; value: errno, bytes, signal, piece, as the fault has it */
	TRACE_FAULT_BEGAN,    /* bytes wait; value: nanoseconds, 0 not known */
	TRACE_FAULT_ENDED,    /* they go on; value: nanoseconds they waited */
	TRACE_FAULT_SHADOWED, /* another rule's outcome came first: this one did nothing */
	TRACE_FAULT_FAILED,   /* it could not be done here; value: errno */
};
struct trace_fault {
	struct trace_record rec;
	uint64_t t_ns;
	uint64_t stack;
	uint64_t off;  /* stream offset of the byte it acted at */
	uint64_t unit; /* what was decided about: core/fault/decide.h */
	uint64_t conn_key;
	uint64_t drawn; /* the draw */
	int64_t value;
	uint32_t conn, tid; /* conn 0: accept, connect or a wait */
	uint32_t rule;	    /* fault_rule_id */
	uint16_t call;
	uint8_t dir, phase;
	uint8_t fault; /* enum fault_id, see names */
	uint8_t what;  /* enum trace_fault_what */
	uint8_t legal; /* 0: the rule said illegal=yes and it mattered */
	uint8_t spare[5];
	char name[32];	     /* of the rule */
	char fault_name[16]; /* numbers change between versions, names do not */
};

struct trace_coverage {
	struct trace_record rec;
	uint64_t t_ns;
	uint64_t reasons;
	uint32_t state;
	uint32_t conn; /* 0: the whole process */
};

#endif
