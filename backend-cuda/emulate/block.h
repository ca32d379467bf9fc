// A thread block on the CPU: its threads are fibers of one system thread, its barriers and warps are exact.
//
// A fiber runs until it waits at a barrier or a warp operation; which fiber runs next is the schedule's order, and a
// kernel whose result depends on it has a barrier missing. What a GPU leaves undefined ends the process here, with
// the place: barriers or shuffles that not all reach, writes past shared memory.
#pragma once
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <utility>
#include <vector>
#include <sys/mman.h>

struct dim3 {
    unsigned x = 1, y = 1, z = 1;
};
struct alignas(16) float4 {
    float x, y, z, w;
};

namespace emulate {

constexpr size_t STACK = 128 << 10;
constexpr size_t MOST_SHARED = 232448;
constexpr size_t GUARD = 64;
/// Bytes behind the guard, so that a write further past does not hit anything else.
constexpr size_t SLACK = 8192;
constexpr int POISON = 0xff, CANARY = 0x5a;

enum class Order { Ascending, Descending, Stride };
enum class WarpOp : unsigned char { Sync, Shuffle, Ballot };

struct Warp {
    uint64_t value[32], out[32];
    int source[32];
    unsigned mask[32];
    WarpOp op[32];
    unsigned arrived = 0, alive = 0;
};

struct Fiber {
    void* stack_pointer = nullptr;
    dim3 index;
    unsigned lane = 0;
    bool done = true;
    Warp* warp = nullptr;
    const char* waits_at = "";
};

/// A variable in shared memory, found by the place of its declaration.
struct SharedVariable {
    const char* place;
    std::unique_ptr<char[]> memory;
    size_t size;
};

/// The block that this system thread runs.
struct Block {
    std::vector<Fiber> fibers;
    std::vector<Warp> warps;
    std::vector<SharedVariable> shared;
    char* stacks = nullptr;
    size_t stack_count = 0;
    void* main_stack_pointer = nullptr;
    unsigned live = 0, arrived = 0, generation = 0, idle = 0;
    const char* barrier = nullptr;
    dim3 index, size, grid;
    void (*body)(void*) = nullptr;
    void* argument = nullptr;
};

// Without constructors: each use of one that has them would ask whether it ran.
inline constinit thread_local Block* block = nullptr;
inline constinit thread_local Fiber* current = nullptr;
inline constinit thread_local Order order = Order::Ascending;
inline constinit thread_local const char* kernel_name = "";
/// Operations done, as kernels count them.
inline constinit thread_local unsigned long long operations = 0;

inline void count(unsigned long long done) { operations += done; }

inline float multiply_add(float a, float b, float c) {
    count(2);
    return std::fma(a, b, c);
}
/// Dynamic shared memory, of any launch's size.
inline constinit thread_local float4* dynamic = nullptr;

extern "C" void emulate_switch(void** save, void* to);
#if defined(__x86_64__)
asm(R"(.text
.weak emulate_switch
.type emulate_switch,@function
emulate_switch: pushq %rbp; pushq %rbx; pushq %r12; pushq %r13; pushq %r14; pushq %r15
 movq %rsp,(%rdi); movq %rsi,%rsp
 popq %r15; popq %r14; popq %r13; popq %r12; popq %rbx; popq %rbp; ret
.size emulate_switch,.-emulate_switch)");
#else
#error "the emulator switches stacks on x86-64 only"
#endif

[[noreturn]] inline void die(const char* what) {
    const dim3 b = block ? block->index : dim3{}, t = current ? current->index : dim3{};
    fprintf(stderr, "emulator: %s: %s in block (%u,%u,%u), thread (%u,%u,%u)\n", kernel_name, what, b.x, b.y, b.z,
            t.x, t.y, t.z);
    abort();
}

inline void resume_next() {
    Fiber* me = current;
    const size_t count = block->fibers.size();
    if (block->live == 0) {
        emulate_switch(&me->stack_pointer, block->main_stack_pointer);
        return;
    }
    const size_t step = order == Order::Descending ? count - 1 : order == Order::Stride && count % 37 ? 37 : 1;
    size_t next = size_t(me - block->fibers.data());
    do next = (next + step) % count;
    while (block->fibers[next].done);
    if (&block->fibers[next] == me) return;
    current = &block->fibers[next];
    emulate_switch(&me->stack_pointer, current->stack_pointer);
    current = me;
}

inline void idle(const char* deadlock) {
    if (++block->idle > 2 * block->fibers.size() + 2) die(deadlock);
    resume_next();
}

inline void open_barrier_if_all_arrived() {
    if (block->live == 0 || block->arrived != block->live) return;
    block->arrived = 0;
    block->generation++;
    block->idle = 0;
    block->barrier = nullptr;
}

inline void barrier(const char* place) {
    if (block->barrier && block->barrier != place) die("threads wait at different barriers");
    const unsigned generation = block->generation;
    block->barrier = place;
    block->arrived++;
    block->idle = 0;
    open_barrier_if_all_arrived();
    current->waits_at = place;
    while (block->generation == generation) idle("a barrier is not reached by every thread");
}

/// The last lane of a group to arrive delivers everyone's result.
inline void complete_warp(Warp& warp, unsigned mask) {
    const unsigned group = mask & warp.alive;
    const int leader = __builtin_ctz(group);
    unsigned votes = 0;
    for (unsigned rest = group; rest; rest &= rest - 1) {
        const int lane = __builtin_ctz(rest);
        votes |= unsigned(warp.value[lane] & 1) << lane;
        if (warp.mask[lane] != mask || warp.op[lane] != warp.op[leader]) die("lanes disagree on a warp operation");
    }
    for (unsigned rest = group; rest; rest &= rest - 1) {
        const int lane = __builtin_ctz(rest), source = warp.source[lane];
        const bool own = source < 0 || source > 31;
        if (warp.op[lane] == WarpOp::Shuffle && !own && !(group >> source & 1)) die("a shuffle reads an absent lane");
        const uint64_t shuffled = warp.value[own ? lane : source];
        warp.out[lane] = warp.op[lane] == WarpOp::Ballot ? votes : shuffled;
    }
    warp.arrived &= ~group;
    block->idle = 0;
}

inline uint64_t warp_operation(WarpOp op, unsigned mask, uint64_t value, int source, const char* place) {
    Warp& warp = *current->warp;
    const unsigned lane = current->lane;
    if (!(mask >> lane & 1)) die("a lane is not in the mask of its own warp operation");
    warp.value[lane] = value;
    warp.source[lane] = source;
    warp.mask[lane] = mask;
    warp.op[lane] = op;
    warp.arrived |= 1u << lane;
    block->idle = 0;
    if ((warp.arrived & mask) == (mask & warp.alive)) complete_warp(warp, mask);
    current->waits_at = place;
    while (warp.arrived >> lane & 1) idle("a warp operation is not reached by every lane of its mask");
    return warp.out[lane];
}

inline void fiber_main() {
    block->body(block->argument);
    Warp& warp = *current->warp;
    current->done = true;
    warp.alive &= ~(1u << current->lane);
    block->live--;
    block->idle = 0;
    open_barrier_if_all_arrived();
    for (unsigned rest = warp.arrived; rest; rest &= rest - 1) {
        const unsigned mask = warp.mask[__builtin_ctz(rest)];
        if ((warp.arrived & mask) == (mask & warp.alive)) {
            complete_warp(warp, mask);
            break;
        }
    }
    resume_next();
    __builtin_unreachable();
}

/// Shared memory of a kernel: poisoned when a block begins, with a guard behind it that is checked when it ends.
template <class T> T& shared_variable(const char* place) {
    for (SharedVariable& variable : block->shared)
        if (variable.place == place) return *reinterpret_cast<T*>(variable.memory.get());
    block->shared.push_back({place, std::unique_ptr<char[]>(new char[sizeof(T) + GUARD + SLACK]), sizeof(T)});
    char* memory = block->shared.back().memory.get();
    memset(memory, POISON, sizeof(T));
    memset(memory + sizeof(T), CANARY, GUARD);
    return *reinterpret_cast<T*>(memory);
}

inline void check_canary(const char* end) {
    for (size_t i = 0; i < GUARD; i++)
        if (end[i] != CANARY) die("a write past the end of shared memory");
}

inline void prepare_stacks(size_t count) {
    if (block->stack_count >= count) return;
    if (block->stacks) munmap(block->stacks, block->stack_count * STACK);
    const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    block->stacks = (char*)mmap(nullptr, count * STACK, PROT_READ | PROT_WRITE, flags, -1, 0);
    if (block->stacks == MAP_FAILED) die("no memory for stacks");
    block->stack_count = count;
}

/// Gives this system thread a block and dynamic shared memory.
inline void prepare() {
    static thread_local std::unique_ptr<Block> own(new Block);
    static thread_local std::unique_ptr<float4[]> memory(new float4[(MOST_SHARED + GUARD) / sizeof(float4)]);
    block = own.get();
    dynamic = memory.get();
}

/// Runs one block to its end.
inline void run_block(dim3 index, dim3 grid, dim3 size, size_t dynamic_size) {
    const unsigned count = size.x * size.y * size.z;
    prepare_stacks(count);
    char* const shared = (char*)dynamic;
    memset(shared, POISON, dynamic_size);
    memset(shared + dynamic_size, CANARY, GUARD);
    block->shared.clear();
    block->fibers.assign(count, Fiber());
    block->warps.assign((count + 31) / 32, Warp());
    block->live = count;
    block->arrived = block->generation = block->idle = 0;
    block->barrier = nullptr;
    block->index = index;
    block->grid = grid;
    block->size = size;
    for (unsigned i = 0; i < count; i++) {
        Fiber& fiber = block->fibers[i];
        fiber.index = {i % size.x, i / size.x % size.y, i / (size.x * size.y)};
        fiber.lane = i % 32;
        fiber.done = false;
        fiber.warp = &block->warps[i / 32];
        fiber.warp->alive |= 1u << fiber.lane;
        void** top = (void**)(block->stacks + (i + 1) * STACK);
        *--top = nullptr;
        *--top = (void*)fiber_main;
        top -= 6;
        memset(top, 0, 48);
        fiber.stack_pointer = top;
    }
    current = &block->fibers[order == Order::Descending ? count - 1 : 0];
    emulate_switch(&block->main_stack_pointer, current->stack_pointer);
    check_canary(shared + dynamic_size);
    for (const SharedVariable& variable : block->shared) check_canary(variable.memory.get() + variable.size);
    current = nullptr;
}

}  // namespace emulate
