/* The layout of the file: Documentation/bpf/btf.rst of the kernel. */
#include <fcntl.h>
#include <linux/btf.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "preload.h"
#include "preload_btf.h"

#define KERNEL_TYPES "/sys/kernel/btf/vmlinux"
/* Structures within structures, in vm_area_struct. */
#define MAX_DEPTH 4

struct btf {
	const char *types, *types_end, *strings, *strings_end;
};

static const char *name_at(const struct btf *btf, uint32_t offset)
{
	return offset < (size_t)(btf->strings_end - btf->strings) ? btf->strings + offset : "";
}

/* Bytes of what follows a type's head; -1 for a kind that is not known. */
static long tail_bytes(const struct btf_type *type)
{
	long count = BTF_INFO_VLEN(type->info);
	switch (BTF_INFO_KIND(type->info)) {
	case BTF_KIND_INT: return 4;
	case BTF_KIND_ARRAY: return sizeof(struct btf_array);
	case BTF_KIND_STRUCT:
	case BTF_KIND_UNION: return count * (long)sizeof(struct btf_member);
	case BTF_KIND_ENUM: return count * (long)sizeof(struct btf_enum);
	case BTF_KIND_FUNC_PROTO: return count * (long)sizeof(struct btf_param);
	case BTF_KIND_VAR: return sizeof(struct btf_var);
	case BTF_KIND_DATASEC: return count * (long)sizeof(struct btf_var_secinfo);
	case BTF_KIND_DECL_TAG: return sizeof(struct btf_decl_tag);
	case BTF_KIND_ENUM64: return count * (long)sizeof(struct btf_enum64);
	case BTF_KIND_PTR:
	case BTF_KIND_FWD:
	case BTF_KIND_TYPEDEF:
	case BTF_KIND_VOLATILE:
	case BTF_KIND_CONST:
	case BTF_KIND_RESTRICT:
	case BTF_KIND_FUNC:
	case BTF_KIND_FLOAT:
	case BTF_KIND_TYPE_TAG: return 0;
	default: return -1;
	}
}

/* The next type after `at`, or NULL at the end and where the data make no sense. */
static const struct btf_type *type_at(const struct btf *btf, const char *at, const char **next)
{
	const struct btf_type *type = (const struct btf_type *)at;
	if (btf->types_end - at < (long)sizeof *type) return NULL;
	long tail = tail_bytes(type);
	*next = at + sizeof *type + tail;
	return tail < 0 || *next > btf->types_end ? NULL : type;
}

static const struct btf_type *type_of_id(const struct btf *btf, uint32_t id)
{
	const char *at = btf->types;
	const struct btf_type *type = NULL;
	/* The first type in the file has number 1. */
	for (uint32_t number = 1; number <= id; number++)
		if (!(type = type_at(btf, at, &at))) return NULL;
	return type;
}

static bool find_member(const struct btf *btf, const struct btf_type *type, const char *name, uint32_t base, int depth,
			uint32_t *offset)
{
	const struct btf_member *members = (const struct btf_member *)(type + 1);
	for (uint32_t i = 0; i < BTF_INFO_VLEN(type->info); i++) {
		uint32_t bits = BTF_INFO_KFLAG(type->info) ? BTF_MEMBER_BIT_OFFSET(members[i].offset) : members[i].offset;
		const char *found = name_at(btf, members[i].name_off);
		if (!strcmp(found, name)) {
			*offset = base + bits / 8;
			return true;
		}
		if (*found || depth == 0) continue;
		const struct btf_type *inner = type_of_id(btf, members[i].type);
		if (!inner) continue;
		uint32_t kind = BTF_INFO_KIND(inner->info);
		if ((kind == BTF_KIND_STRUCT || kind == BTF_KIND_UNION) &&
		    find_member(btf, inner, name, base + bits / 8, depth - 1, offset))
			return true;
	}
	return false;
}

static bool find_types(const struct btf *btf, struct vma_types *types)
{
	const struct btf_type *type, *area = NULL;
	const char *at = btf->types;
	types->iterator_id = 0;
	for (uint32_t number = 1; (type = type_at(btf, at, &at)) && !(area && types->iterator_id); number++) {
		uint32_t kind = BTF_INFO_KIND(type->info);
		if (kind == BTF_KIND_FUNC && !strcmp(name_at(btf, type->name_off), "bpf_iter_task_vma"))
			types->iterator_id = number;
		if (kind == BTF_KIND_STRUCT && !strcmp(name_at(btf, type->name_off), "vm_area_struct")) area = type;
	}
	return area && types->iterator_id && find_member(btf, area, "vm_start", 0, MAX_DEPTH, &types->start) &&
	       find_member(btf, area, "vm_end", 0, MAX_DEPTH, &types->end) &&
	       find_member(btf, area, "vm_flags", 0, MAX_DEPTH, &types->flags);
}

/* Where the two sections are; false when they are not within the file. */
static bool find_sections(const char *file, size_t size, struct btf *btf)
{
	const struct btf_header *header = (const struct btf_header *)file;
	if (size < sizeof *header || header->magic != BTF_MAGIC || header->hdr_len > size) return false;
	size_t rest = size - header->hdr_len;
	if (header->type_off > rest || header->type_len > rest - header->type_off) return false;
	if (header->str_off > rest || header->str_len > rest - header->str_off || header->str_len == 0) return false;
	btf->types = file + header->hdr_len + header->type_off;
	btf->types_end = btf->types + header->type_len;
	btf->strings = file + header->hdr_len + header->str_off;
	btf->strings_end = btf->strings + header->str_len;
	return btf->strings_end[-1] == 0;
}

static char *read_all(int fd, size_t size)
{
	char *file = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (file == MAP_FAILED) return NULL;
	for (size_t done = 0; done < size;) {
		ssize_t length = read(fd, file + done, size - done);
		if (length <= 0) {
			munmap(file, size);
			return NULL;
		}
		done += (size_t)length;
	}
	return file;
}

bool read_vma_types(struct vma_types *types)
{
	struct stat stat;
	struct btf btf;
	int fd = (int)next_syscall(SYS_openat, AT_FDCWD, KERNEL_TYPES, O_RDONLY | O_CLOEXEC, 0);
	if (fd < 0) return false;
	char *file = fstat(fd, &stat) == 0 && stat.st_size > 0 ? read_all(fd, (size_t)stat.st_size) : NULL;
	close(fd);
	if (!file) return false;
	bool found = find_sections(file, (size_t)stat.st_size, &btf) && find_types(&btf, types);
	munmap(file, (size_t)stat.st_size);
	return found;
}
