// A stand-in for libcuda.so: the driver calls that cudarc makes for this crate, carried out at once on the CPU.
#include <chrono>
#include <string>
#include "cuda.h"
#include "memory.h"

using namespace emulate;
using Result = int;
using Handle = void*;
using Address = unsigned long long;
enum { SUCCESS = 0, INVALID_VALUE = 1, OUT_OF_MEMORY = 2, INVALID_DEVICE = 101, NOT_FOUND = 500 };

static thread_local Handle current_context;
static Memory memory;
static int driver_version = 13000, device_count = 1, capability[2] = {9, 0};
static thread_local unsigned long long downloaded, allocations;

/// Work that this system thread has asked for so far, how much of that it knows to be done, and how often it had to
/// wait to know: on a GPU work is done later than it is asked for.
static thread_local unsigned long long asked, known, waits;
static void wait_until(unsigned long long work) {
    if (work > known) known = work, ++waits;
}

std::vector<Kernel>& emulate::kernels() {
    static std::vector<Kernel> all;
    return all;
}
Register::Register(const char* name, void (*call)(void**), std::vector<size_t> sizes) {
    kernels().push_back({name, call, std::move(sizes)});
}

/// A stream does all its work at once.
struct Stream {
    Handle context;
};

/// When an event was recorded, and behind how much work.
struct Event {
    double time = 0;
    unsigned long long work = 0;
};

/// A function of a module: the kernel, and what its PTX says of it.
struct Function {
    const Kernel* kernel;
    unsigned most_threads;
    size_t most_dynamic = 48 << 10;
};

static double milliseconds() {
    const auto now = std::chrono::steady_clock::now().time_since_epoch();
    return std::chrono::duration<double, std::milli>(now).count();
}

/// The number behind the kernel's `.maxntid`, 1024 without.
static unsigned most_threads(const std::string& ptx, size_t entry) {
    const size_t bound = ptx.find(".maxntid", entry), body = ptx.find("{", entry);
    return bound < body ? unsigned(atoi(ptx.c_str() + bound + 8)) : 1024;
}

#define API extern "C" Result

// For tests: the schedule of this system thread's launches, and what kind of machine this pretends to be.
extern "C" void emulate_order(int wanted) { order = Order(wanted); }
extern "C" void emulate_machine(int version, int devices, int major, int minor) {
    driver_version = version;
    device_count = devices;
    capability[0] = major;
    capability[1] = minor;
}

// What this system thread did since it last asked: bytes copied from the device, operations of launches, allocations of
// device memory, waits for work that was not known to be done.
extern "C" unsigned long long emulate_downloaded() { return std::exchange(downloaded, 0); }
extern "C" unsigned long long emulate_operations() { return std::exchange(operations, 0); }
extern "C" unsigned long long emulate_allocations() { return std::exchange(allocations, 0); }
extern "C" unsigned long long emulate_waits() { return std::exchange(waits, 0); }

// Work that this system thread has asked for and does not know to be done.
extern "C" unsigned long long emulate_pending() { return asked - known; }

API cuInit(unsigned) { return SUCCESS; }
API cuDriverGetVersion(int* version) { return *version = driver_version, SUCCESS; }
API cuDeviceGetCount(int* count) { return *count = device_count, SUCCESS; }
API cuDeviceGet(int* device, int ordinal) { return *device = ordinal, ordinal ? INVALID_DEVICE : SUCCESS; }
API cuDeviceGetName(char* name, int size, int) { return snprintf(name, size, "emulated GPU"), SUCCESS; }
API cuDeviceTotalMem_v2(size_t* bytes, int) { return *bytes = size_t(1) << 33, SUCCESS; }
API cuDeviceGetAttribute(int* value, int attribute, int) {
    switch (attribute) {
        case 16: *value = 4; break;                    // multiprocessors
        case 38: *value = 4 << 20; break;              // second-level cache
        case 75: *value = capability[0]; break;
        case 76: *value = capability[1]; break;
        case 97: *value = int(MOST_SHARED); break;     // shared memory of a block, where asked for
        case 115: *value = 1; break;                   // memory pools
        default: *value = 0;
    }
    return SUCCESS;
}
API cuDeviceGetDefaultMemPool(Handle* pool, int) { return *pool = (Handle)0x2000, SUCCESS; }
API cuMemPoolSetAttribute(Handle, int, void*) { return SUCCESS; }
API cuDevicePrimaryCtxRetain(Handle* context, int) { return *context = (Handle)0x1000, SUCCESS; }
API cuDevicePrimaryCtxSetFlags_v2(int, unsigned) { return SUCCESS; }
API cuDevicePrimaryCtxRelease_v2(int) { return SUCCESS; }
API cuCtxGetCurrent(Handle* context) { return *context = current_context, SUCCESS; }
API cuCtxSetCurrent(Handle context) { return current_context = context, SUCCESS; }
API cuCtxCreate_v4(Handle* context, void*, unsigned, int) {
    return *context = current_context = new int(0), SUCCESS;
}
API cuCtxDestroy_v2(Handle context) { return delete (int*)context, SUCCESS; }
API cuCtxSynchronize() { return wait_until(asked), SUCCESS; }
API cuStreamCreate(Handle* stream, unsigned) { return *stream = new Stream{current_context}, SUCCESS; }
API cuStreamCreateWithPriority(Handle* stream, unsigned flags, int) { return cuStreamCreate(stream, flags); }
API cuStreamDestroy_v2(Handle stream) { return delete (Stream*)stream, SUCCESS; }
API cuStreamGetCtx(Handle stream, Handle* context) { return *context = ((Stream*)stream)->context, SUCCESS; }
API cuStreamGetDevice(Handle, int* device) { return *device = 0, SUCCESS; }
API cuStreamSynchronize(Handle) { return wait_until(asked), SUCCESS; }
API cuStreamWaitEvent(Handle, Handle, unsigned) { return SUCCESS; }
API cuEventCreate(Handle* event, unsigned) { return *event = new Event, SUCCESS; }
API cuEventDestroy_v2(Handle event) { return delete (Event*)event, SUCCESS; }
API cuEventRecord(Handle event, Handle) { return *(Event*)event = {milliseconds(), asked}, SUCCESS; }
API cuEventSynchronize(Handle event) { return wait_until(((Event*)event)->work), SUCCESS; }
API cuEventQuery(Handle) { return SUCCESS; }
API cuEventElapsedTime_v2(float* ms, Handle a, Handle b) {
    return *ms = float(((Event*)b)->time - ((Event*)a)->time), SUCCESS;
}
API cuEventElapsedTime(float* ms, Handle a, Handle b) { return cuEventElapsedTime_v2(ms, a, b); }

API cuMemAllocAsync(Address* address, size_t size, Handle) {
    if (size == 0) return INVALID_VALUE;
    ++allocations;
    *address = memory.allocate(size);
    return *address ? SUCCESS : OUT_OF_MEMORY;
}
API cuMemFreeAsync(Address address, Handle) { return memory.release(address) ? SUCCESS : INVALID_VALUE; }
API cuMemAlloc_v2(Address* address, size_t size) { return cuMemAllocAsync(address, size, nullptr); }
API cuMemFree_v2(Address address) { return cuMemFreeAsync(address, nullptr); }
API cuMemHostAlloc(void** host, size_t size, unsigned) {
    *host = aligned_alloc(64, (size + 63) / 64 * 64);
    return *host ? SUCCESS : OUT_OF_MEMORY;
}
API cuMemFreeHost(void* host) { return free(host), SUCCESS; }
API cuMemcpyHtoDAsync_v2(Address to, const void* from, size_t size, Handle) {
    if (!memory.holds(to, size)) return INVALID_VALUE;
    ++asked;
    return memcpy((void*)to, from, size), SUCCESS;
}
API cuMemcpyDtoHAsync_v2(void* to, Address from, size_t size, Handle) {
    if (!memory.holds(from, size)) return INVALID_VALUE;
    downloaded += size;
    ++asked;
    return memcpy(to, (void*)from, size), SUCCESS;
}
API cuMemcpyHtoD_v2(Address to, const void* from, size_t size) {
    return cuMemcpyHtoDAsync_v2(to, from, size, nullptr);
}
API cuMemcpyDtoH_v2(void* to, Address from, size_t size) {
    const Result copied = cuMemcpyDtoHAsync_v2(to, from, size, nullptr);
    return wait_until(asked), copied;
}
API cuMemsetD8Async(Address to, unsigned char value, size_t size, Handle) {
    if (!memory.holds(to, size)) return INVALID_VALUE;
    ++asked;
    return memset((void*)to, value, size), SUCCESS;
}
API cuPointerGetAttribute(void* value, int attribute, Address address) {
    const bool known = attribute == 9 && memory.holds(address, 1);     // the device's number
    return known ? (*(int*)value = 0, SUCCESS) : INVALID_VALUE;
}

API cuModuleLoadData(Handle* module, const void* ptx) { return *module = new std::string((const char*)ptx), SUCCESS; }
API cuModuleUnload(Handle module) { return delete (std::string*)module, SUCCESS; }
API cuModuleGetFunction(Handle* function, Handle module, const char* name) {
    const std::string& ptx = *(std::string*)module;
    const size_t entry = ptx.find(std::string(".entry ") + name + "(");
    if (entry == std::string::npos) return NOT_FOUND;
    for (const Kernel& kernel : kernels())
        if (!strcmp(kernel.name, name)) return *function = new Function{&kernel, most_threads(ptx, entry)}, SUCCESS;
    return NOT_FOUND;
}
API cuFuncGetParamInfo(Handle function, size_t index, size_t* offset, size_t* size) {
    const auto& sizes = ((Function*)function)->kernel->sizes;
    if (index >= sizes.size()) return INVALID_VALUE;
    *offset = 0;
    *size = sizes[index];
    return SUCCESS;
}
API cuFuncSetAttribute(Handle function, int attribute, int value) {
    if (attribute == 8) ((Function*)function)->most_dynamic = size_t(value);
    return SUCCESS;
}
API cuLaunchKernel(Handle handle, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz,
                   unsigned shared, Handle, void** parameters, void**) {
    const Function& function = *(Function*)handle;
    const uint64_t threads = uint64_t(bx) * by * bz, blocks = uint64_t(gx) * gy * gz;
    const bool fits = blocks && threads && threads <= function.most_threads && gx < 1u << 31 && gy < 1 << 16 &&
                      gz < 1 << 16 && bz <= 64 && shared <= function.most_dynamic && shared <= MOST_SHARED;
    if (!fits) return INVALID_VALUE;
    ++asked;
    prepare();
    kernel_name = function.kernel->name;
    block->body = [](void* job) { (*(std::pair<void (*)(void**), void**>*)job).first(((std::pair<void (*)(void**), void**>*)job)->second); };
    std::pair<void (*)(void**), void**> job{function.kernel->call, parameters};
    block->argument = &job;
    for (uint64_t i = 0; i < blocks; i++) {
        const uint64_t b = order == Order::Ascending ? i : blocks - 1 - i;
        const dim3 index{unsigned(b % gx), unsigned(b / gx % gy), unsigned(b / gx / gy)};
        run_block(index, {gx, gy, gz}, {bx, by, bz}, shared);
    }
    return SUCCESS;
}

API cuGetErrorName(int error, const char** name) {
    static thread_local char text[32];
    snprintf(text, sizeof text, "CUDA_ERROR_%d", error);
    return *name = text, SUCCESS;
}
API cuGetErrorString(int error, const char** text) { return cuGetErrorName(error, text); }
