/* Areas by a BPF iterator over a task's areas (Documentation/bpf/bpf_iterators.rst of the kernel; Linux 6.1 or later). */
#include <linux/bpf.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "preload.h"
#include "preload_areas.h"
#include "preload_btf.h"

/* More than most processes have. */
#define FIRST_AREAS 2048

/* The kernel's bpf_iter__task_vma and bpf_iter_meta: pointers of eight bytes each. */
#define CONTEXT_META 0
#define CONTEXT_AREA 16
#define META_SEQUENCE 0

static struct vma_types types;

static long bpf(int command, union bpf_attr *attributes)
{
	return next_syscall(SYS_bpf, command, attributes, sizeof *attributes);
}

static struct bpf_insn load(int to, int from, uint32_t offset)
{
	return (struct bpf_insn){BPF_LDX | BPF_MEM | BPF_DW, (uint8_t)to & 15, (uint8_t)from & 15, (int16_t)offset, 0};
}

static struct bpf_insn store(int from, int16_t offset)
{
	return (struct bpf_insn){BPF_STX | BPF_MEM | BPF_DW, BPF_REG_10, (uint8_t)from & 15, offset, 0};
}

static struct bpf_insn other(uint8_t code, int to, int from, int16_t offset, int32_t value)
{
	return (struct bpf_insn){code, (uint8_t)to & 15, (uint8_t)from & 15, offset, value};
}

/* Called for every area: writes a struct area into the iterator's file. At the end there is a call without an area. */
static int load_program(void)
{
	const struct bpf_insn program[] = {
		other(BPF_ALU64 | BPF_MOV | BPF_X, BPF_REG_6, BPF_REG_1, 0, 0),
		load(BPF_REG_7, BPF_REG_6, CONTEXT_AREA),
		other(BPF_JMP | BPF_JEQ | BPF_K, BPF_REG_7, 0, 12, 0),
		load(BPF_REG_2, BPF_REG_7, types.start),
		store(BPF_REG_2, -24),
		load(BPF_REG_2, BPF_REG_7, types.end),
		store(BPF_REG_2, -16),
		load(BPF_REG_2, BPF_REG_7, types.flags),
		store(BPF_REG_2, -8),
		load(BPF_REG_1, BPF_REG_6, CONTEXT_META),
		load(BPF_REG_1, BPF_REG_1, META_SEQUENCE),
		other(BPF_ALU64 | BPF_MOV | BPF_X, BPF_REG_2, BPF_REG_10, 0, 0),
		other(BPF_ALU64 | BPF_ADD | BPF_K, BPF_REG_2, 0, 0, -24),
		other(BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_3, 0, 0, sizeof(struct area)),
		other(BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_seq_write),
		other(BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, 0),
		other(BPF_JMP | BPF_EXIT, 0, 0, 0, 0),
	};
	union bpf_attr attributes;
	memset(&attributes, 0, sizeof attributes);
	attributes.prog_type = BPF_PROG_TYPE_TRACING;
	attributes.expected_attach_type = BPF_TRACE_ITER;
	attributes.attach_btf_id = types.iterator_id;
	attributes.insns = (uintptr_t)program;
	attributes.insn_cnt = sizeof program / sizeof *program;
	attributes.license = (uintptr_t) "Dual MIT/GPL";
	return (int)bpf(BPF_PROG_LOAD, &attributes);
}

/* A file that holds the areas of one task. */
static int open_iterator(int program, int pid)
{
	/* What the kernel calls bpf_iter_link_info: this is its part for tasks. */
	uint32_t which[] = {(uint32_t)pid, 0, 0};
	union bpf_attr attributes;
	memset(&attributes, 0, sizeof attributes);
	attributes.link_create.prog_fd = (uint32_t)program;
	attributes.link_create.attach_type = BPF_TRACE_ITER;
	attributes.link_create.iter_info = (uintptr_t)which;
	attributes.link_create.iter_info_len = sizeof which;
	int link = (int)bpf(BPF_LINK_CREATE, &attributes);
	if (link < 0) return -1;
	memset(&attributes, 0, sizeof attributes);
	attributes.iter_create.link_fd = (uint32_t)link;
	int iterator = (int)bpf(BPF_ITER_CREATE, &attributes);
	close(link);
	return iterator;
}

/* Areas come in the order of their addresses: how many there are before the first one that does not. */
static size_t ascending(const struct area *areas, size_t count)
{
	size_t i = 0;
	while (i < count && areas[i].start < areas[i].end && (i == 0 || areas[i].start >= areas[i - 1].end)) i++;
	return i;
}

/*
 * When one read did not take all areas, the kernel (6.18 and others) does not tell the end of a single task: it begins again with
 * the last areas that it told, for ever. So an area that was there before is the end, too.
 */
static struct area *read_iterator(int iterator, size_t *count)
{
	size_t room = FIRST_AREAS, known = 0;
	struct area *areas = malloc(room * sizeof *areas);
	while (areas) {
		ssize_t length = read(iterator, areas + known, (room - known) * sizeof *areas);
		if (length < 0 || length % (ssize_t)sizeof *areas) break;
		size_t told = known + (size_t)length / sizeof *areas;
		*count = ascending(areas, told);
		if (length == 0 || *count < told) return areas;
		known = told;
		if (known < room) continue;
		struct area *larger = realloc(areas, room * 2 * sizeof *areas);
		if (!larger) break;
		areas = larger;
		room *= 2;
	}
	free(areas);
	return NULL;
}

struct area *read_areas(int pid, size_t *count)
{
	/* Loaded each time: criu closes what it does not know, and the next file may have its number. */
	int program = load_program();
	if (program < 0) return NULL;
	int iterator = open_iterator(program, pid);
	close(program);
	if (iterator < 0) return NULL;
	struct area *areas = read_iterator(iterator, count);
	close(iterator);
	return areas;
}

bool prepare_areas(void)
{
	return read_vma_types(&types);
}
