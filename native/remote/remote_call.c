#include "remote_call.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "remote_proc.h"
#include "remote_trace.h"
#include "remote_wait.h"

/* The kernel's interface, where the build machine's headers may be older. */
#define GET_RSEQ_CONFIGURATION 0x420f
#define GET_SYSCALL_USER_DISPATCH 0x4211
#define USER_CODE_SEGMENT 0x33 /* of 64-bit code */
#define SYSCALL_STOP (SIGTRAP | 0x80)
#define RSEQ_SEQUENCE 8 /* where the area names the sequence that the thread is in */
#define RESTART_FIRST 512 /* ERESTARTSYS */
#define RESTART_LAST 516  /* ERESTART_RESTARTBLOCK */

struct rseq_configuration {
	uint64_t pointer;
	uint32_t size, signature, flags, pad;
};
struct dispatch_configuration {
	uint64_t mode, selector, offset, length;
};

static bool lose(struct remote_call *call)
{
	call->lost = true;
	return false;
}

static bool trace(struct remote_call *call, int request, unsigned long address, const void *data)
{
	return remote_trace(request, call->tid, address, (unsigned long)data) >= 0 || lose(call);
}

static bool set_registers(struct remote_call *call, const struct user_regs_struct *registers)
{
	return trace(call, PTRACE_SETREGS, 0, registers);
}

/* Waits for the next stop and returns its status; 0 when the thread is lost. */
static int wait_for_stop(struct remote_call *call)
{
	int status = remote_wait_for_stop(call->tid);
	if (!status) lose(call);
	return status;
}

/* Of a stop on the way to another one: the signal that the thread is about to receive. Only SIGSTOP cannot be blocked. */
static unsigned long signal_of(int status)
{
	bool is_delivery = status >> 8 < 0x100 && WSTOPSIG(status) != SYSCALL_STOP;
	return is_delivery ? (unsigned long)WSTOPSIG(status) : 0;
}

/* By its number in the caller's pid namespace, which the system call's result need not be. */
static void notice_child(struct remote_call *call, int event)
{
	unsigned long child = 0;
	if (event != PTRACE_EVENT_CLONE && event != PTRACE_EVENT_FORK && event != PTRACE_EVENT_VFORK) return;
	if (trace(call, PTRACE_GETEVENTMSG, 0, &child)) call->child = (pid_t)child;
}

/* Runs on to the next entry or exit of a system call. */
static bool run_to_syscall(struct remote_call *call)
{
	int status = 0;
	do {
		if (remote_trace(PTRACE_SYSCALL, call->tid, 0, status ? signal_of(status) : 0) < 0) return lose(call);
		status = wait_for_stop(call);
		if (!status) return false;
		notice_child(call, status >> 16);
	} while (WSTOPSIG(status) != SYSCALL_STOP);
	return true;
}

/*
 * From the exit of a system call into the stop in which the kernel asks for signals: only there it puts an
 * interrupted system call right. No instruction is executed on the way.
 */
static bool run_to_signal_stop(struct remote_call *call)
{
	int status = 0;
	if (remote_trace(PTRACE_INTERRUPT, call->tid, 0, 0) < 0) return lose(call);
	do {
		if (remote_trace(PTRACE_CONT, call->tid, 0, status ? signal_of(status) : 0) < 0) return lose(call);
		status = wait_for_stop(call);
		if (!status) return false;
	} while (status >> 16 != PTRACE_EVENT_STOP);
	return true;
}

static bool poke(struct remote_call *call, uint64_t address, const void *bytes, size_t size)
{
	for (size_t i = 0; i < size; i += sizeof(unsigned long)) {
		unsigned long word;
		__builtin_memcpy(&word, (const char *)bytes + i, sizeof word);
		if (remote_trace(PTRACE_POKEDATA, call->tid, address + i, word) < 0) return false;
	}
	return true;
}

static bool peek(struct remote_call *call, uint64_t address, void *bytes, size_t size)
{
	for (size_t i = 0; i < size; i += sizeof(unsigned long))
		if (remote_trace(PTRACE_PEEKDATA, call->tid, address + i, (unsigned long)((char *)bytes + i)) < 0) return false;
	return true;
}

/*
 * A thread that was interrupted in a restartable sequence must still be led to the sequence's abort. The kernel forgets
 * the sequence when the thread returns to another place, so the area is put back with the registers.
 */
static void save_rseq(struct remote_call *call)
{
	struct rseq_configuration configuration = {0};
	call->rseq = 0;
	if (remote_trace(GET_RSEQ_CONFIGURATION, call->tid, sizeof configuration, (unsigned long)&configuration) < 0) return;
	if (!configuration.pointer || configuration.size < REMOTE_RSEQ_SIZE) return;
	if (peek(call, configuration.pointer, call->rseq_bytes, REMOTE_RSEQ_SIZE)) call->rseq = configuration.pointer;
}

static bool is_in_sequence(const struct remote_call *call)
{
	uint64_t sequence;
	__builtin_memcpy(&sequence, call->rseq_bytes + RSEQ_SEQUENCE, sizeof sequence);
	return call->rseq && sequence;
}

static bool is_acceptable(struct remote_call *call, struct remote_error *error)
{
	struct remote_status status;
	struct dispatch_configuration dispatch = {0};
	unsigned long text = 0;
	if (call->registers.cs != USER_CODE_SEGMENT)
		return remote_fail(error, REMOTE_REFUSED, 0, "thread %d executes 32-bit code", call->tid);
	if (!remote_status(call->tid, &status)) return remote_fail(error, REMOTE_GONE, errno, "thread %d", call->tid);
	if (status.seccomp) return remote_fail(error, REMOTE_REFUSED, 0, "thread %d has a seccomp filter", call->tid);
	if (remote_trace(GET_SYSCALL_USER_DISPATCH, call->tid, sizeof dispatch, (unsigned long)&dispatch) >= 0 && dispatch.mode)
		return remote_fail(error, REMOTE_REFUSED, 0, "thread %d dispatches its system calls to itself", call->tid);
	if (!peek(call, call->instruction, &text, sizeof text) || (text & 0xffff) != 0x050f)
		return remote_fail(error, REMOTE_FAILED, 0, "thread %d has no system call instruction at %#lx", call->tid,
				   (unsigned long)call->instruction);
	return true;
}

bool remote_call_begin(struct remote_call *call, pid_t tid, uint64_t instruction, unsigned long options,
		       struct remote_error *error)
{
	uint64_t all = ~UINT64_C(0);
	*call = (struct remote_call){.tid = tid, .instruction = instruction, .options = options};
	if (!trace(call, PTRACE_GETREGS, 0, &call->registers) ||
	    !trace(call, PTRACE_GETSIGMASK, sizeof call->signal_mask, &call->signal_mask))
		return remote_fail(error, REMOTE_GONE, errno, "thread %d", tid);
	if (!is_acceptable(call, error)) return false;
	save_rseq(call);
	if (!remote_call_options(call, 0) || !trace(call, PTRACE_SETSIGMASK, sizeof all, &all))
		return remote_fail(error, REMOTE_GONE, errno, "thread %d", tid);
	return true;
}

bool remote_call_enter(struct remote_call *call, long number, const unsigned long arguments[6])
{
	struct user_regs_struct registers = call->registers;
	registers.rip = call->instruction;
	registers.rax = (unsigned long)number;
	/* Else the kernel would restart the interrupted system call instead. */
	registers.orig_rax = ~0UL;
	registers.rdi = arguments[0];
	registers.rsi = arguments[1];
	registers.rdx = arguments[2];
	registers.r10 = arguments[3];
	registers.r8 = arguments[4];
	registers.r9 = arguments[5];
	return set_registers(call, &registers) && run_to_syscall(call);
}

bool remote_call_options(struct remote_call *call, unsigned long options)
{
	return trace(call, PTRACE_SETOPTIONS, 0, (void *)(call->options | options | PTRACE_O_TRACESYSGOOD));
}

static bool is_restart(long result)
{
	return result <= -RESTART_FIRST && result >= -RESTART_LAST;
}

long remote_call(struct remote_call *call, long number, const unsigned long arguments[6])
{
	struct user_regs_struct registers;
	call->child = 0;
	do {
		if (call->lost || !remote_call_enter(call, number, arguments) || !run_to_syscall(call) ||
		    !trace(call, PTRACE_GETREGS, 0, &registers))
			return -ESRCH;
	} while (is_restart((long)registers.rax));
	return (long)registers.rax;
}

void remote_restore_rseq(struct remote_call *copy, const struct remote_call *original)
{
	if (original->rseq) poke(copy, original->rseq, original->rseq_bytes, REMOTE_RSEQ_SIZE);
}

bool remote_call_end(struct remote_call *call)
{
	if (call->lost) return false;
	bool is_restored = run_to_signal_stop(call) && set_registers(call, &call->registers) &&
			   trace(call, PTRACE_SETSIGMASK, sizeof call->signal_mask, &call->signal_mask) &&
			   trace(call, PTRACE_SETOPTIONS, 0, (void *)call->options);
	if (is_restored && is_in_sequence(call))
		poke(call, call->rseq + RSEQ_SEQUENCE, call->rseq_bytes + RSEQ_SEQUENCE, sizeof(uint64_t));
	return is_restored;
}
