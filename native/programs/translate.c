/*
 * holdfast-translate CGROUP ORIGINAL=CURRENT...
 *
 * A restarted job knows its nodes by the addresses they had. From now on the processes of the control group (v2)
 * go on naming them so, while their sockets hold the addresses of now: bind, connect and sendto turn ORIGINAL into
 * CURRENT, and accept, getpeername, getsockname and recvfrom turn CURRENT back. No packet is touched, so what CRIU
 * sees of a socket is what the network sees of it. The kernel does it by small programs (eBPF, "sock_addr") that
 * are gone with the group. docs/native-programs.md has the contract.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "complain.h"

/* Of every code: the longest beginning, and what each pair of addresses adds. */
#define PROLOGUE_LENGTH 11 /* r0, three words of an IPv6 address, the load */
#define PAIR_LENGTH 4
#define IPV4 offsetof(struct bpf_sock_addr, user_ip4)
#define IPV6_WORD(n) (offsetof(struct bpf_sock_addr, user_ip6) + (n) * sizeof(uint32_t))

struct pair {
	in_addr_t from, to;
};

struct code {
	struct bpf_insn *instructions;
	int length;
};

static const struct {
	enum bpf_attach_type type;
	bool is_ipv6, is_told; /* told: the kernel tells an address instead of taking one */
} hooks[] = {
	{BPF_CGROUP_INET4_BIND, false, false},	     {BPF_CGROUP_INET6_BIND, true, false},
	{BPF_CGROUP_INET4_CONNECT, false, false},    {BPF_CGROUP_INET6_CONNECT, true, false},
	{BPF_CGROUP_UDP4_SENDMSG, false, false},     {BPF_CGROUP_UDP6_SENDMSG, true, false},
	{BPF_CGROUP_INET4_GETPEERNAME, false, true}, {BPF_CGROUP_INET6_GETPEERNAME, true, true},
	{BPF_CGROUP_INET4_GETSOCKNAME, false, true}, {BPF_CGROUP_INET6_GETSOCKNAME, true, true},
	{BPF_CGROUP_UDP4_RECVMSG, false, true},	     {BPF_CGROUP_UDP6_RECVMSG, true, true},
};

static void emit(struct code *code, struct bpf_insn instruction)
{
	code->instructions[code->length++] = instruction;
}

static void emit_exit(struct code *code)
{
	emit(code, (struct bpf_insn){.code = BPF_JMP | BPF_EXIT});
}

/* r2 = the word of the context (r1) at an offset */
static void emit_load(struct code *code, size_t offset)
{
	emit(code, (struct bpf_insn){.code = BPF_LDX | BPF_MEM | BPF_W, .dst_reg = 2, .src_reg = 1, .off = offset});
}

/* Goes on after the next `skipped` instructions if r2 compares so with the value. */
static void emit_jump(struct code *code, uint8_t comparison, uint32_t value, int16_t skipped)
{
	emit(code, (struct bpf_insn){.code = BPF_JMP32 | comparison | BPF_K, .dst_reg = 2, .off = skipped, .imm = value});
}

static void emit_pair(struct code *code, size_t offset, struct pair pair)
{
	emit_jump(code, BPF_JNE, pair.from, PAIR_LENGTH - 1);
	emit(code, (struct bpf_insn){.code = BPF_ALU | BPF_MOV | BPF_K, .dst_reg = 3, .imm = pair.to});
	emit(code, (struct bpf_insn){.code = BPF_STX | BPF_MEM | BPF_W, .dst_reg = 1, .src_reg = 3, .off = offset});
	emit_exit(code);
}

/* The first pair that fits counts. An IPv6 address counts when it is an IPv4 one, ::ffff:A.B.C.D. */
static void emit_translation(struct code *code, bool is_ipv6, bool is_told, const struct pair *pairs, int count)
{
	const uint32_t mapped[] = {0, 0, htonl(0xffff)};
	size_t offset = is_ipv6 ? IPV6_WORD(3) : IPV4;
	emit(code, (struct bpf_insn){.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = 1});
	for (int word = 0; is_ipv6 && word < 3; word++) {
		emit_load(code, IPV6_WORD(word));
		emit_jump(code, BPF_JEQ, mapped[word], 1);
		emit_exit(code);
	}
	emit_load(code, offset);
	for (int i = 0; i < count; i++)
		emit_pair(code, offset, is_told ? (struct pair){pairs[i].to, pairs[i].from} : pairs[i]);
	emit_exit(code);
}

static int call_bpf(enum bpf_cmd command, union bpf_attr *attributes)
{
	return syscall(SYS_bpf, command, attributes, sizeof *attributes);
}

static void attach(int cgroup, enum bpf_attach_type type, const struct code *code)
{
	union bpf_attr load = {.prog_type = BPF_PROG_TYPE_CGROUP_SOCK_ADDR,
			       .insns = (uintptr_t)code->instructions,
			       .insn_cnt = code->length,
			       .license = (uintptr_t) "MIT",
			       .expected_attach_type = type};
	int program = call_bpf(BPF_PROG_LOAD, &load);
	if (program < 0) die_errno("cannot load the program for hook %d", (int)type);
	union bpf_attr attach = {.target_fd = cgroup,
				 .attach_bpf_fd = program,
				 .attach_type = type,
				 .attach_flags = BPF_F_ALLOW_MULTI};
	if (call_bpf(BPF_PROG_ATTACH, &attach) < 0) die_errno("cannot attach the program for hook %d", (int)type);
	close(program);
}

static struct pair parse_pair(char *text)
{
	char *current = text, *original = strsep(&current, "=");
	struct pair pair;
	if (!current || inet_pton(AF_INET, original, &pair.from) != 1 || inet_pton(AF_INET, current, &pair.to) != 1)
		die("expected ORIGINAL=CURRENT, two IPv4 addresses");
	return pair;
}

static void *allocate(size_t count, size_t size)
{
	void *memory = calloc(count, size);
	if (!memory) die_errno("cannot keep %zu entries", count);
	return memory;
}

int main(int argc, char **argv)
{
	complaint_program = "holdfast-translate";
	secure_descriptors();
	if (argc < 3) die("usage: holdfast-translate CGROUP ORIGINAL=CURRENT...");
	int count = argc - 2;
	struct pair *pairs = allocate(count, sizeof *pairs);
	for (int i = 0; i < count; i++) pairs[i] = parse_pair(argv[i + 2]);
	int cgroup = open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (cgroup < 0) die_errno("cannot open the control group %s", argv[1]);
	struct code code = {.instructions = allocate(PROLOGUE_LENGTH + count * PAIR_LENGTH + 1, sizeof *code.instructions)};
	for (size_t i = 0; i < sizeof hooks / sizeof *hooks; i++) {
		code.length = 0;
		emit_translation(&code, hooks[i].is_ipv6, hooks[i].is_told, pairs, count);
		attach(cgroup, hooks[i].type, &code);
	}
	return 0;
}
