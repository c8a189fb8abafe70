"""The thread pool's runtime library as LLVM IR; `threads` says how it works."""

from __future__ import annotations

import platform
import signal

__all__ = ["SERIAL", "pool_text"]

#: Helpers of one call, at most.
_MOST = 1023

#: Chunks in a job, and the mask of their count in the ticket.
_CHUNKS = (1 << 48) - 1

#: Looks before others are let in.
_SHORT = 32

_PAUSE = {
    "x86": ("declare void @llvm.x86.sse2.pause()", "call void @llvm.x86.sse2.pause()"),
    "arm": ("declare void @llvm.aarch64.isb(i32)", "call void @llvm.aarch64.isb(i32 15)"),
}

#: Signals that the instruction at hand raises; all others are left to Python's own threads.
_FAULTS = [signal.SIGILL, signal.SIGABRT, signal.SIGFPE, signal.SIGSEGV]


def _all_here(block: str) -> str:
    """Code at the end of `block` in which the caller does all chunks."""
    return f"""  %some = icmp sgt i64 %count, 0
  br i1 %some, label %loop, label %end
loop:
  %chunk = phi i64 [0, %{block}], [%next, %loop]
  call void %fn(ptr %frame, i64 %chunk)
  %next = add i64 %chunk, 1
  %more = icmp slt i64 %next, %count
  br i1 %more, label %loop, label %end
end:
  ret i64 0"""


#: Where there is no pthread.
SERIAL = f"""
define i64 @tw_parallel(ptr %fn, ptr %frame, i64 %count, i64 %threads) nounwind {{
entry:
{_all_here("entry")}
}}
"""

_POOL = """
{declare_pause}
declare i32 @pthread_create(ptr, ptr, ptr, ptr)
declare i32 @pthread_join(i64, ptr)
declare i32 @pthread_mutex_init(ptr, ptr)
declare i32 @pthread_mutex_lock(ptr)
declare i32 @pthread_mutex_unlock(ptr)
declare i32 @pthread_cond_init(ptr, ptr)
declare i32 @pthread_cond_wait(ptr, ptr)
declare i32 @pthread_cond_signal(ptr)
declare i32 @pthread_cond_broadcast(ptr)
declare i32 @pthread_sigmask(i32, ptr, ptr)
declare i32 @sched_yield()
declare i32 @sigfillset(ptr)
declare i32 @sigdelset(ptr, i32)

; The job: written by a caller who has set @busy, read by those who own a chunk.
@busy = internal global i8 0, align 128
@fn = internal global ptr null, align 8
@frame = internal global ptr null, align 8
@count = internal global i64 0, align 8
; Helpers allowed * 2^48 + chunks that nobody has claimed.
@ticket = internal global i64 0, align 128
; Chunks that are not finished.
@pending = internal global i64 0, align 128
; Workers that sleep; whether the caller does; whether workers shall end.
@sleepers = internal global i64 0, align 128
@waiting = internal global i64 0, align 8
@stopping = internal global i64 0, align 8
@workers = internal global i64 0, align 8
; Opaque to us, and larger than any system's.
@mutex = internal global [256 x i8] zeroinitializer, align 128
@work = internal global [256 x i8] zeroinitializer, align 128
@done = internal global [256 x i8] zeroinitializer, align 128
; How many looks an idle thread takes before it sleeps.
@patience = internal global i64 0, align 8
@threads = internal global [{most} x i64] zeroinitializer, align 128

; Chunks that are left to claim for worker %index (0: the caller).
define internal i64 @left(i64 %ticket, i64 %index) nounwind {{
  %unclaimed = and i64 %ticket, {mask}
  %helpers = lshr i64 %ticket, 48
  %allowed = icmp ule i64 %index, %helpers
  %left = select i1 %allowed, i64 %unclaimed, i64 0
  ret i64 %left
}}

; Run chunks until none is left; gives their number.
define internal i64 @run(i64 %index) nounwind {{
entry:
  br label %look
look:
  %n = phi i64 [0, %entry], [%n, %claim], [%n1, %ran], [%n1, %last], [%n1, %wake]
  %ticket = load atomic i64, ptr @ticket acquire, align 8
  %left = call i64 @left(i64 %ticket, i64 %index)
  %none = icmp eq i64 %left, 0
  br i1 %none, label %end, label %claim
claim:
  %claimed = sub i64 %ticket, 1
  %pair = cmpxchg ptr @ticket, i64 %ticket, i64 %claimed acq_rel acquire, align 8
  %mine = extractvalue {{i64, i1}} %pair, 1
  br i1 %mine, label %ran, label %look
ran:
  %count = load i64, ptr @count, align 8
  %fn = load ptr, ptr @fn, align 8
  %frame = load ptr, ptr @frame, align 8
  %chunk = sub i64 %count, %left
  call void %fn(ptr %frame, i64 %chunk)
  %n1 = add i64 %n, 1
  %before = atomicrmw sub ptr @pending, i64 1 seq_cst, align 8
  %finished = icmp eq i64 %before, 1
  br i1 %finished, label %last, label %look
last:
  ; The caller first says that it waits, then looks at @pending: one of us sees the other.
  %waiting = load atomic i64, ptr @waiting seq_cst, align 8
  %asleep = icmp ne i64 %waiting, 0
  br i1 %asleep, label %wake, label %look
wake:
  call i32 @pthread_mutex_lock(ptr @mutex)
  call i32 @pthread_mutex_unlock(ptr @mutex)
  call i32 @pthread_cond_signal(ptr @done)
  br label %look
end:
  ret i64 %n
}}

; Between two looks: a moment, and from the {short}th on whoever else wants this processor. It may
; be the very thread that is waited for: the system wakes a worker where its caller runs.
define internal void @pause(i64 %looks) nounwind {{
  {pause}
  %long = icmp uge i64 %looks, {short}
  br i1 %long, label %yield, label %end
yield:
  call i32 @sched_yield()
  br label %end
end:
  ret void
}}

; A worker's reason not to wait: chunks, or the end.
define internal i1 @wanted(i64 %index) nounwind {{
  %ticket = load atomic i64, ptr @ticket seq_cst, align 8
  %left = call i64 @left(i64 %ticket, i64 %index)
  %stopping = load atomic i64, ptr @stopping seq_cst, align 8
  %any = or i64 %left, %stopping
  %wanted = icmp ne i64 %any, 0
  ret i1 %wanted
}}

define internal ptr @worker(ptr %argument) nounwind {{
entry:
  %index = ptrtoint ptr %argument to i64
  br label %busy
busy:
  call i64 @run(i64 %index)
  %stopping = load atomic i64, ptr @stopping seq_cst, align 8
  %stop = icmp ne i64 %stopping, 0
  br i1 %stop, label %end, label %spin
spin:
  %looks = phi i64 [0, %busy], [%looks1, %again]
  %wanted = call i1 @wanted(i64 %index)
  br i1 %wanted, label %busy, label %again
again:
  call void @pause(i64 %looks)
  %looks1 = add i64 %looks, 1
  %patience = load i64, ptr @patience, align 8
  %patient = icmp ult i64 %looks1, %patience
  br i1 %patient, label %spin, label %bed
bed:
  call i32 @pthread_mutex_lock(ptr @mutex)
  atomicrmw add ptr @sleepers, i64 1 seq_cst, align 8
  br label %sleep
sleep:
  %called = call i1 @wanted(i64 %index)
  br i1 %called, label %rise, label %doze
doze:
  call i32 @pthread_cond_wait(ptr @work, ptr @mutex)
  br label %sleep
rise:
  atomicrmw sub ptr @sleepers, i64 1 seq_cst, align 8
  call i32 @pthread_mutex_unlock(ptr @mutex)
  call void @pause(i64 {short})
  br label %busy
end:
  ret ptr null
}}

; Wake all workers that sleep. A sleeper counts itself, then looks at the ticket, under the mutex.
define internal void @wake() nounwind {{
  %sleepers = load atomic i64, ptr @sleepers seq_cst, align 8
  %some = icmp ne i64 %sleepers, 0
  br i1 %some, label %wake, label %end
wake:
  call i32 @pthread_mutex_lock(ptr @mutex)
  call i32 @pthread_mutex_unlock(ptr @mutex)
  call i32 @pthread_cond_broadcast(ptr @work)
  br label %end
end:
  ret void
}}

; Make workers up to number %wanted, as far as the system gives them; they take no signals.
define internal void @grow(i64 %wanted) nounwind {{
entry:
  %all = alloca [512 x i8], align 64
  %old = alloca [512 x i8], align 64
  call i32 @sigfillset(ptr %all)
{faults}
  call i32 @pthread_sigmask(i32 {set_mask}, ptr %all, ptr %old)
  br label %next
next:
  %there = load i64, ptr @workers, align 8
  %enough = icmp uge i64 %there, %wanted
  br i1 %enough, label %end, label %create
create:
  %index = add i64 %there, 1
  %argument = inttoptr i64 %index to ptr
  %slot = getelementptr i64, ptr @threads, i64 %there
  %failed = call i32 @pthread_create(ptr %slot, ptr null, ptr @worker, ptr %argument)
  %good = icmp eq i32 %failed, 0
  br i1 %good, label %count, label %end
count:
  store i64 %index, ptr @workers, align 8
  br label %next
end:
  call i32 @pthread_sigmask(i32 {set_mask}, ptr %old, ptr null)
  ret void
}}

define i64 @tw_parallel(ptr %fn, ptr %frame, i64 %count, i64 %threads) nounwind {{
entry:
  %asked = sub i64 %threads, 1
  %others = sub i64 %count, 1
  %fewer = call i64 @llvm.smin.i64(i64 %asked, i64 %others)
  %helpers = call i64 @llvm.smin.i64(i64 %fewer, i64 {most})
  %alone = icmp slt i64 %helpers, 1
  br i1 %alone, label %serial, label %try
try:
  %taken = atomicrmw xchg ptr @busy, i8 1 acquire
  %free = icmp eq i8 %taken, 0
  br i1 %free, label %pool, label %serial
pool:
  %there = load i64, ptr @workers, align 8
  %few = icmp ult i64 %there, %helpers
  br i1 %few, label %grow, label %publish
grow:
  call void @grow(i64 %helpers)
  br label %publish
publish:
  store ptr %fn, ptr @fn, align 8
  store ptr %frame, ptr @frame, align 8
  store i64 %count, ptr @count, align 8
  store atomic i64 %count, ptr @pending seq_cst, align 8
  %high = shl i64 %helpers, 48
  %ticket = or i64 %high, %count
  store atomic i64 %ticket, ptr @ticket seq_cst, align 8
  call void @wake()
  %own = call i64 @run(i64 0)
  %helped = sub i64 %count, %own
  br label %spin
spin:
  %looks = phi i64 [0, %publish], [%looks1, %again]
  %pending = load atomic i64, ptr @pending seq_cst, align 8
  %finished = icmp eq i64 %pending, 0
  br i1 %finished, label %release, label %again
again:
  call void @pause(i64 %looks)
  %looks1 = add i64 %looks, 1
  %patience = load i64, ptr @patience, align 8
  %patient = icmp ult i64 %looks1, %patience
  br i1 %patient, label %spin, label %bed
bed:
  call i32 @pthread_mutex_lock(ptr @mutex)
  store atomic i64 1, ptr @waiting seq_cst, align 8
  br label %sleep
sleep:
  %unfinished = load atomic i64, ptr @pending seq_cst, align 8
  %none = icmp eq i64 %unfinished, 0
  br i1 %none, label %rise, label %doze
doze:
  call i32 @pthread_cond_wait(ptr @done, ptr @mutex)
  br label %sleep
rise:
  store atomic i64 0, ptr @waiting seq_cst, align 8
  call i32 @pthread_mutex_unlock(ptr @mutex)
  br label %release
release:
  store atomic i8 0, ptr @busy release, align 1
  ret i64 %helped
serial:
{all_here}
}}

; Take as many looks as an idle worker does: Python measures how long they last.
define void @tw_look(i64 %count) nounwind {{
entry:
  br label %spin
spin:
  %looks = phi i64 [0, %entry], [%looks1, %again]
  %wanted = call i1 @wanted(i64 {most})
  br label %again
again:
  call void @pause(i64 %looks)
  %looks1 = add i64 %looks, 1
  %patient = icmp ult i64 %looks1, %count
  br i1 %patient, label %spin, label %end
end:
  ret void
}}

; All as at the start: when the library is loaded, and in a forked child, which has no workers.
define void @tw_reset(i64 %patience) nounwind {{
  store i64 %patience, ptr @patience, align 8
  call i32 @pthread_mutex_init(ptr @mutex, ptr null)
  call i32 @pthread_cond_init(ptr @work, ptr null)
  call i32 @pthread_cond_init(ptr @done, ptr null)
  store i64 0, ptr @ticket, align 8
  store i64 0, ptr @pending, align 8
  store i64 0, ptr @sleepers, align 8
  store i64 0, ptr @waiting, align 8
  store i64 0, ptr @stopping, align 8
  store i64 0, ptr @workers, align 8
  store atomic i8 0, ptr @busy release, align 1
  ret void
}}

; End the workers, unless a job is under way; the next job makes new ones.
define void @tw_stop() nounwind {{
  %taken = atomicrmw xchg ptr @busy, i8 1 acquire
  %free = icmp eq i8 %taken, 0
  br i1 %free, label %stop, label %end
stop:
  store atomic i64 1, ptr @stopping seq_cst, align 8
  call void @wake()
  br label %next
next:
  %there = load i64, ptr @workers, align 8
  %none = icmp eq i64 %there, 0
  br i1 %none, label %stopped, label %join
join:
  %rest = sub i64 %there, 1
  %slot = getelementptr i64, ptr @threads, i64 %rest
  %thread = load i64, ptr %slot, align 8
  call i32 @pthread_join(i64 %thread, ptr null)
  store i64 %rest, ptr @workers, align 8
  br label %next
stopped:
  store atomic i64 0, ptr @stopping seq_cst, align 8
  store atomic i8 0, ptr @busy release, align 1
  br label %end
end:
  ret void
}}

declare i64 @llvm.smin.i64(i64, i64)
"""


def pool_text() -> str:
    """The library's text for this system."""
    machine = platform.machine().lower()
    declare_pause, pause = _PAUSE["arm" if machine in ("aarch64", "arm64") else "x86"]
    faults = [*_FAULTS, signal.SIGBUS, signal.SIGTRAP]
    return _POOL.format(
        declare_pause=declare_pause,
        pause=pause,
        faults="\n".join(f"  call i32 @sigdelset(ptr %all, i32 {int(s)})" for s in faults),
        set_mask=int(signal.SIG_SETMASK),
        mask=_CHUNKS,
        most=_MOST,
        short=_SHORT,
        all_here=_all_here("serial"),
    )
