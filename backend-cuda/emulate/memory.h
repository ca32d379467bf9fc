// Device memory on the CPU: filled with NaN, ending at a page that no one may touch.
#pragma once
#include <cstring>
#include <map>
#include <mutex>
#include "block.h"

namespace emulate {

constexpr size_t PAGE = 4096;

/// Allocations by device address.
class Memory {
  public:
    /// The address, 0 where there is no memory.
    uint64_t allocate(size_t size) {
        const size_t body = (size + PAGE - 1) / PAGE * PAGE;
        char* pages = (char*)mmap(nullptr, body + PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (pages == MAP_FAILED) return 0;
        mprotect(pages + body, PAGE, PROT_NONE);
        memset(pages, POISON, body);
        char* begin = pages + body - (size + 15) / 16 * 16;
        std::lock_guard<std::mutex> lock(mutex);
        allocations[(uint64_t)begin] = {pages, body, size};
        return (uint64_t)begin;
    }

    /// Whether the address was allocated; what lies around the allocation must still be poison.
    bool release(uint64_t address) {
        std::lock_guard<std::mutex> lock(mutex);
        const auto found = allocations.find(address);
        if (found == allocations.end()) return false;
        const Allocation& allocation = found->second;
        const char* begin = (const char*)address;
        check_poison(allocation.pages, begin);
        check_poison(begin + allocation.size, allocation.pages + allocation.body);
        munmap(allocation.pages, allocation.body + PAGE);
        allocations.erase(found);
        return true;
    }

    /// Whether these bytes lie in one allocation.
    bool holds(uint64_t address, size_t size) {
        std::lock_guard<std::mutex> lock(mutex);
        auto found = allocations.upper_bound(address);
        if (found == allocations.begin()) return false;
        --found;
        return address + size <= found->first + found->second.size;
    }

  private:
    struct Allocation {
        char* pages;
        size_t body, size;
    };
    std::mutex mutex;
    std::map<uint64_t, Allocation> allocations;

    static void check_poison(const char* begin, const char* end) {
        for (; begin < end; begin++)
            if (*begin != char(POISON)) die("a write beside device memory");
    }
};

}  // namespace emulate
