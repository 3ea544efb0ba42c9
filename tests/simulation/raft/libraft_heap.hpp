#pragma once
// The memory of libraft's machines: one heap each, which a crash empties.

#include <cstddef>
#include <cstdlib>

namespace custos::raft::simulation {

/// All blocks in one ring, so that they can be freed without their owner's help.
class heap {
public:
  heap() { ring_.before = ring_.after = &ring_; }
  heap(const heap&) = delete;
  heap& operator=(const heap&) = delete;
  ~heap() { clear(); }

  void* allocate(std::size_t size) {
    auto* const b = static_cast<block*>(std::malloc(sizeof(block) + size));
    if (b == nullptr)
      return nullptr;
    b->size = size;
    b->before = &ring_;
    b->after = ring_.after;
    ring_.after->before = b;
    ring_.after = b;
    return b + 1;
  }
  static void release(void* at) {
    if (at == nullptr)
      return;
    auto* const b = static_cast<block*>(at) - 1;
    b->before->after = b->after;
    b->after->before = b->before;
    std::free(b);
  }
  static std::size_t size_of(void* at) { return (static_cast<block*>(at) - 1)->size; }
  void clear() {
    while (ring_.after != &ring_)
      release(ring_.after + 1);
  }

  /// Of the machine whose turn it is.
  static inline heap* current = nullptr;

private:
  struct alignas(std::max_align_t) block {
    block* before = nullptr;
    block* after = nullptr;
    std::size_t size = 0;
  };
  block ring_;
};

/// What the library allocates from now on comes from heap::current.
void give_libraft_our_heaps();

} // namespace custos::raft::simulation
