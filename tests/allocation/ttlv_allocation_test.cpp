// Reading TTLV allocates nothing: in a program of its own, whose operator new counts.

#include "adapters/kmip/ttlv.hpp"
#include "tests/unit/adapters/kmip/vectors.hpp"

#include <atomic>
#include <cstdlib>
#include <gtest/gtest.h>
#include <new>

namespace {

std::atomic<std::size_t> allocations{0};

void* counted(std::size_t size) {
  allocations.fetch_add(1, std::memory_order_relaxed);
  if (void* const p = std::malloc(size == 0 ? 1 : size)) // NOLINT: this is the allocator
    return p;
  std::abort();
}

} // namespace

// Not inlined: the compiler may leave a pair of new and delete out otherwise, and warn of pairs.
[[gnu::noinline]] void* operator new(std::size_t size) {
  return counted(size);
}
[[gnu::noinline]] void* operator new[](std::size_t size) {
  return counted(size);
}
[[gnu::noinline]] void operator delete(void* p) noexcept {
  std::free(p); // NOLINT
}
[[gnu::noinline]] void operator delete[](void* p) noexcept {
  std::free(p); // NOLINT
}
[[gnu::noinline]] void operator delete(void* p, std::size_t) noexcept {
  std::free(p); // NOLINT
}
[[gnu::noinline]] void operator delete[](void* p, std::size_t) noexcept {
  std::free(p); // NOLINT
}

namespace custos::kmip {
namespace {

/// Reads every value of a tree as its type; the sum keeps the work from being left out.
std::uint64_t read_all(const ttlv_item& item) {
  std::uint64_t sum = static_cast<std::uint64_t>(item.name());
  switch (item.type()) {
  case item_type::structure:
    for (const ttlv_item child : item.children())
      sum += read_all(child);
    return sum + (item.child(tag::batch_item) ? 1 : 0);
  case item_type::integer:
    return sum + static_cast<std::uint64_t>(*item.as_integer());
  case item_type::long_integer:
    return sum + static_cast<std::uint64_t>(*item.as_long_integer());
  case item_type::big_integer:
    return sum + item.as_big_integer()->size();
  case item_type::enumeration:
    return sum + *item.as_enumeration();
  case item_type::boolean:
    return sum + (*item.as_boolean() ? 1 : 0);
  case item_type::text_string:
    return sum + item.as_text()->size();
  case item_type::byte_string:
    return sum + item.as_octets()->size();
  case item_type::date_time:
    return sum + static_cast<std::uint64_t>(*item.as_date_time());
  case item_type::interval:
    return sum + *item.as_interval();
  case item_type::date_time_extended:
    return sum + static_cast<std::uint64_t>(*item.as_date_time_extended());
  }
  return sum;
}

std::vector<bytes> all_vectors() {
  std::vector<bytes> out;
  for (const char* folder : {"oasis-ttlv", "pykmip-0.10.0-capture", "vsphere-7.0.3-client"})
    for (const auto& file : testing::message_files(folder))
      for (auto& m : testing::messages(file))
        out.push_back(std::move(m.message));
  return out;
}

TEST(TtlvAllocation, TheCounterCounts) {
  const auto before = allocations.load();
  const bytes some(100);
  EXPECT_GT(allocations.load(), before) << some.size();
}

TEST(TtlvAllocation, ReadingAllocatesNothing) {
  const auto vectors = all_vectors();
  ASSERT_EQ(vectors.size(), 1114U);
  std::size_t read = 0;
  std::uint64_t sum = 0;
  const auto before = allocations.load();
  for (const bytes& message : vectors) {
    if (!ttlv_total_bytes(message))
      continue;
    const auto item = parse_ttlv(message);
    if (!item)
      continue;
    sum += read_all(*item);
    ++read;
  }
  const auto made = allocations.load() - before;
  EXPECT_EQ(made, 0U);
  EXPECT_EQ(read, vectors.size());
  EXPECT_NE(sum, 0U);
}

/// A message is written into one buffer: one allocation, which the caller may spare, too.
TEST(TtlvAllocation, WritingReusesABuffer) {
  crypto::wiped_bytes buffer;
  buffer.reserve(4096);
  const auto before = allocations.load();
  ttlv_writer w(std::move(buffer));
  {
    const ttlv_scope message(w, tag::request_message);
    for (int i = 0; i < 50; ++i)
      w.text(tag::unique_identifier, "fb4b5b9c-0000-4000-8000-000000000000");
  }
  const auto message = w.take();
  EXPECT_EQ(allocations.load() - before, 0U);
  EXPECT_TRUE(parse_ttlv(message).ok());
}

} // namespace
} // namespace custos::kmip
