#include "tests/simulation/raft/libraft_heap.hpp"

#include <algorithm>
#include <cstring>

extern "C" {
#include <raft.h>
}

namespace custos::raft::simulation {

namespace {

void* heap_malloc(void* /*data*/, std::size_t size) {
  return heap::current->allocate(size);
}
void heap_free(void* /*data*/, void* at) {
  heap::release(at);
}
void* heap_calloc(void* /*data*/, std::size_t count, std::size_t size) {
  auto* const at = heap::current->allocate(count * size);
  return at == nullptr ? nullptr : std::memset(at, 0, count * size);
}
void* heap_realloc(void* /*data*/, void* at, std::size_t size) {
  auto* const fresh = heap::current->allocate(size);
  if (fresh == nullptr || at == nullptr)
    return fresh;
  std::memcpy(fresh, at, std::min(size, heap::size_of(at)));
  heap::release(at);
  return fresh;
}
void* heap_aligned_alloc(void* /*data*/, std::size_t /*alignment*/, std::size_t size) {
  return heap::current->allocate(size);
}
void heap_aligned_free(void* /*data*/, std::size_t /*alignment*/, void* at) {
  heap::release(at);
}

} // namespace

void give_libraft_our_heaps() {
  static raft_heap ours{nullptr,      heap_malloc,        heap_free,        heap_calloc,
                        heap_realloc, heap_aligned_alloc, heap_aligned_free};
  raft_heap_set(&ours);
}

} // namespace custos::raft::simulation
