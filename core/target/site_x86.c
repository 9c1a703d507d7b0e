/* SPDX-License-Identifier: BSD-2-Clause
 *
 * target/site_x86: lengths of x86-64 instructions, from a table of what follows each opcode.
 *
 * The promise is one-sided: an encoding it does not know is refused, never guessed.
 *
 *     .  nothing     m  ModRM      b  imm8         z  imm32 (imm16 with 66)   r  REX
 *     B  ModRM imm8  Z  ModRM z    v  imm32, imm64 with REX.W                 p  prefix
 *     j  rel8        J  rel32      w  imm16        f  ModRM, imm8 of /0 /1    F  the same with z
 *     o  64-bit address            2  0f map       3  0f 38 map               A  0f 3a map
 *     x  not known
 */
#include "core/target/site_internal.h"

static const char one_byte[] = "mmmmbzxx"
			       "mmmmbzx2"
			       "mmmmbzxx"
			       "mmmmbzxx"
			       "mmmmbzpx"
			       "mmmmbzpx"
			       "mmmmbzpx"
			       "mmmmbzpx"
			       "rrrrrrrr"
			       "rrrrrrrr"
			       "........"
			       "........"
			       "xxxmpppp"
			       "zZbBxxxx"
			       "jjjjjjjj"
			       "jjjjjjjj"
			       "BZxBmmmm"
			       "mmmmmmmx"
			       "........"
			       "..x....."
			       "oooo...."
			       "bz......"
			       "bbbbbbbb"
			       "vvvvvvvv"
			       "BBw.xxBZ"
			       "x.x..bxx"
			       "mmmmxxx."
			       "mmmmmmmm"
			       "jjjjxxxx"
			       "JJxjxxxx"
			       "pxpp..fF"
			       "......mm";

static const char two_byte[] = "mmmmx..x"
			       "..x.xmxx"
			       "mmmmmmmm"
			       "mmmmmmmm"
			       "xxxxxxxx"
			       "mmmmmmmm"
			       "....xxxx"
			       "3xAxxxxx"
			       "mmmmmmmm"
			       "mmmmmmmm"
			       "mmmmmmmm"
			       "mmmmmmmm"
			       "mmmmmmmm"
			       "mmmmmmmm"
			       "BBBBmmm."
			       "xxxxmmmm"
			       "JJJJJJJJ"
			       "JJJJJJJJ"
			       "mmmmmmmm"
			       "mmmmmmmm"
			       "...mBmxx"
			       "..xmBmmm"
			       "mmmmmmmm"
			       "mmBmmmmm"
			       "mmBmBBBm"
			       "........"
			       "mmmmmmmm"
			       "mmmmmmmm"
			       "mmmmmmmm"
			       "mmmmmmmm"
			       "mmmmmmmm"
			       "mmmmmmmm";

enum {
	INSN_MAX = 15,
	REX_W = 8,
	REX_R = 4,
	REX_B = 1,
};

struct decode {
	struct span text;
	unsigned at;
	uint8_t rex;	/* 0 none */
	bool operand16; /* prefix 66 */
	bool two;	/* opcode of the 0f map */
	uint8_t opcode, modrm;
	char kind;
};

static bool take(struct decode *d, uint8_t *ret)
{
	if (d->at >= d->text.n || d->at >= INSN_MAX)
		return false;
	*ret = d->text.p[d->at++];
	return true;
}

/* Prefixes, REX and opcode. */
static bool opcode_read(struct decode *d)
{
	do {
		if (!take(d, &d->opcode))
			return false;
		d->kind = one_byte[d->opcode];
		/* A REX that something else follows has no effect: no compiler writes that. */
		if (d->rex && (d->kind == 'p' || d->kind == 'r'))
			return false;
		d->operand16 |= d->opcode == 0x66;
		if (d->kind == 'r')
			d->rex = d->opcode;
	} while (d->kind == 'p' || d->kind == 'r');
	if (d->kind != '2')
		return true;
	d->two = true;
	if (!take(d, &d->opcode))
		return false;
	d->kind = two_byte[d->opcode];
	if (d->kind == '3' || d->kind == 'A') {
		d->kind = d->kind == '3' ? 'm' : 'B';
		return take(d, &d->opcode);
	}
	return true;
}

/* ModRM, SIB and displacement. */
static bool modrm_read(struct decode *d)
{
	uint8_t sib = 0, mod, rm;

	if (!take(d, &d->modrm))
		return false;
	mod = d->modrm >> 6;
	rm = d->modrm & 7;
	if (mod == 3)
		return true;
	if (rm == 4 && !take(d, &sib))
		return false;
	if (mod == 1)
		d->at += 1;
	if (mod == 2 || (mod == 0 && (rm == 5 || (rm == 4 && (sib & 7) == 5))))
		d->at += 4;
	return true;
}

static unsigned immediate(const struct decode *d)
{
	const unsigned z = d->operand16 && !(d->rex & REX_W) ? 2 : 4;
	const bool test = (d->modrm >> 3 & 7) < 2;

	switch (d->kind) {
	case 'b':
	case 'B':
	case 'j':
		return 1;
	case 'w':
		return 2;
	case 'J':
		return 4;
	case 'z':
	case 'Z':
		return z;
	case 'v':
		return d->rex & REX_W ? 8 : z;
	case 'o':
		return 8;
	case 'f':
		return test ? 1 : 0;
	case 'F':
		return test ? z : 0;
	default:
		return 0;
	}
}

/* Only plain moves, additions and the like are looked at; of everything else the worst is believed. */
static bool writes_eax(const struct decode *d)
{
	const unsigned reg = (d->modrm >> 3 & 7) | (d->rex & REX_R ? 8 : 0);
	const unsigned rm = (d->modrm & 7) | (d->rex & REX_B ? 8 : 0);
	const bool memory = d->modrm >> 6 != 3;

	if (d->two) /* 0f 10 .. 29: moves of vector registers; 0f 1e, 0f 1f: nothing */
		return !(d->opcode == 0x10 || d->opcode == 0x11 || d->opcode == 0x1e ||
			 d->opcode == 0x1f || d->opcode == 0x28 || d->opcode == 0x29);
	switch (d->opcode) {
	case 0x01: /* op r/m,r */
	case 0x09:
	case 0x21:
	case 0x29:
	case 0x31:
	case 0x89:
	case 0x81: /* op r/m,imm */
	case 0x83:
	case 0xc7:
		return !memory && rm == 0;
	case 0x80: /* the same of bytes, where 4 may be ah */
	case 0x88:
	case 0xc6:
		return !memory && (rm & 3) == 0;
	case 0x38: /* cmp, test */
	case 0x39:
	case 0x3a:
	case 0x3b:
	case 0x3c:
	case 0x3d:
	case 0x84:
	case 0x85:
		return false;
	case 0x90: /* nop, or xchg with r8 */
		return d->rex & REX_B;
	case 0x03: /* op r,r/m */
	case 0x0b:
	case 0x23:
	case 0x2b:
	case 0x33:
	case 0x63:
	case 0x8b:
	case 0x8d:
		return reg == 0;
	default:
		if (d->opcode >= 0x50 && d->opcode <= 0x57) /* push */
			return false;
		if (d->opcode >= 0x70 && d->opcode <= 0x7f) /* jcc */
			return false;
		if (d->opcode >= 0xb8 && d->opcode <= 0xbf) /* mov r,imm */
			return d->opcode == 0xb8 && !(d->rex & REX_B);
		return true;
	}
}

static uint8_t flow(const struct decode *d)
{
	if (d->kind == 'j' || d->kind == 'J')
		return FLOW_JUMP;
	if (!d->two && d->opcode == 0xff && (d->modrm >> 3 & 6) == 4) /* /4 and /5 */
		return FLOW_INDIRECT;
	return FLOW_ON;
}

bool site_decode(struct span text, struct site_insn *ret)
{
	struct decode d = {.text = text};
	unsigned n;

	if (!opcode_read(&d) || d.kind == 'x')
		return false;
	if ((d.kind == 'm' || d.kind == 'B' || d.kind == 'Z' || d.kind == 'f' || d.kind == 'F') &&
	    !modrm_read(&d))
		return false;
	/* Beside mov, c6 and c7 hold the start of a transaction, which is a jump. */
	if (!d.two && (d.opcode & 0xfe) == 0xc6 && d.modrm & 0x38)
		return false;
	if (d.kind == 'J' && d.operand16)
		return false;
	n = immediate(&d);
	d.at += n;
	if (d.at > text.n || d.at > INSN_MAX)
		return false;
	*ret = (struct site_insn){
		.size = (uint8_t)d.at,
		.flow = flow(&d),
		.writes_eax = writes_eax(&d),
	};
	if (d.kind == 'j')
		ret->relative = (text.p[d.at - 1] ^ 0x80) - 0x80;
	if (d.kind == 'J')
		ret->relative = (int32_t)elf_u32(text, d.at - 4);
	return true;
}
