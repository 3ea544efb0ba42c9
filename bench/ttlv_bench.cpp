// TTLV: a Get response read to its key, a Get request written.

#include "adapters/kmip/protocol.hpp"

#include <atomic>
#include <benchmark/benchmark.h>
#include <cstdlib>
#include <new>

namespace {

std::atomic<std::size_t> allocations{0};

} // namespace

// Counts every allocation of the process: the reader must make none.
[[gnu::noinline]] void* operator new(std::size_t size) {
  allocations.fetch_add(1, std::memory_order_relaxed);
  if (void* p = std::malloc(size == 0 ? 1 : size)) // NOLINT: this is the allocator
    return p;
  std::abort();
}
[[gnu::noinline]] void operator delete(void* p) noexcept {
  std::free(p); // NOLINT
}
[[gnu::noinline]] void operator delete(void* p, std::size_t) noexcept {
  std::free(p); // NOLINT
}

namespace {

using namespace custos;
using namespace custos::kmip;

crypto::wiped_bytes get_response() {
  ttlv_writer w;
  {
    const ttlv_scope message(w, tag::response_message);
    w.open(tag::response_header);
    w.open(tag::protocol_version);
    w.integer(tag::protocol_version_major, 1);
    w.integer(tag::protocol_version_minor, 4);
    w.close();
    w.date_time(tag::time_stamp, 1700000000);
    w.integer(tag::batch_count, 1);
    w.close();
    const ttlv_scope item(w, tag::batch_item);
    w.enumeration(tag::operation, operation::get);
    w.octets(tag::unique_batch_item_id, bytes(8, 1));
    w.enumeration(tag::result_status, result_status::success);
    const ttlv_scope payload(w, tag::response_payload);
    w.enumeration(tag::object_type, object_type::symmetric_key);
    w.text(tag::unique_identifier, "fb4b5b9c-0000-4000-8000-000000000001");
    const ttlv_scope object(w, tag::symmetric_key);
    const ttlv_scope block(w, tag::key_block);
    w.enumeration(tag::key_format_type, key_format::raw);
    w.open(tag::key_value);
    w.octets(tag::key_material, bytes(32, 7));
    w.close();
    w.enumeration(tag::cryptographic_algorithm, algorithm::aes);
    w.integer(tag::cryptographic_length, 256);
  }
  return w.take();
}

void decode_get_response(benchmark::State& state) {
  const auto message = get_response();
  const std::size_t before = allocations.load();
  std::size_t octets = 0;
  for (auto _ : state) {
    const auto item = parse_ttlv(message);
    const auto key = item->child(tag::batch_item)
                         ->child(tag::response_payload)
                         ->child(tag::symmetric_key)
                         ->child(tag::key_block)
                         ->child(tag::key_value)
                         ->child(tag::key_material);
    octets += key->value().size();
    benchmark::DoNotOptimize(octets);
  }
  // The library itself allocates a little around the loop.
  if (allocations.load() - before > 16)
    state.SkipWithError("the reader allocates");
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations()));
  state.SetBytesProcessed(
      static_cast<std::int64_t>(state.iterations() * static_cast<std::int64_t>(message.size())));
}
BENCHMARK(decode_get_response);

/// With all checks of the protocol, and the key in the secure heap at the end.
void parse_get_response(benchmark::State& state) {
  const auto message = get_response();
  message_options options;
  options.version = {1, 4};
  options.id = batch_item_id{1, 1, 1, 1, 1, 1, 1, 1};
  const request asked = get_key{"fb4b5b9c-0000-4000-8000-000000000001"};
  for (auto _ : state) {
    const auto r = parse_response(asked, options, message);
    if (!r.outcome)
      state.SkipWithError("the response is not accepted");
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations()));
}
BENCHMARK(parse_get_response);

void encode_get_request(benchmark::State& state) {
  message_options options;
  options.version = {1, 4};
  options.id = batch_item_id{};
  const request asked = get_key{"fb4b5b9c-0000-4000-8000-000000000001"};
  for (auto _ : state)
    benchmark::DoNotOptimize(build_request(asked, options));
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations()));
}
BENCHMARK(encode_get_request);

} // namespace
