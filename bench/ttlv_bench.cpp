// TTLV and KMIP messages: a Get response read to its key, a Get request written, all messages of
// the OASIS cases read and written again, batches, a whole session without a network.

#include "adapters/kmip/protocol.hpp"
#include "adapters/kmip/session.hpp"
#include "tests/unit/adapters/kmip/fake_server.hpp"
#include "tests/unit/adapters/kmip/vectors.hpp"

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

/// Every message of the OASIS cases, 1.0 to 2.1.
const std::vector<bytes>& oasis() {
  static const std::vector<bytes> all = [] {
    std::vector<bytes> out;
    for (const auto& file : testing::message_files("oasis-ttlv"))
      for (auto& m : testing::messages(file))
        out.push_back(std::move(m.message));
    return out;
  }();
  return all;
}

void count_messages(benchmark::State& state, const std::vector<bytes>& messages) {
  std::size_t octets = 0;
  for (const auto& m : messages)
    octets += m.size();
  const auto rounds = static_cast<std::int64_t>(state.iterations());
  state.SetItemsProcessed(rounds * static_cast<std::int64_t>(messages.size()));
  state.SetBytesProcessed(rounds * static_cast<std::int64_t>(octets));
}

void decode_oasis(benchmark::State& state) {
  const auto& messages = oasis();
  for (auto _ : state)
    for (const auto& m : messages)
      if (!parse_ttlv(m))
        state.SkipWithError("a message is not accepted");
  count_messages(state, messages);
}
BENCHMARK(decode_oasis);

void reencode_oasis(benchmark::State& state) {
  const auto& messages = oasis();
  crypto::wiped_bytes buffer;
  for (auto _ : state)
    for (const auto& m : messages) {
      ttlv_writer w(std::move(buffer));
      write_item(w, *parse_ttlv(m));
      buffer = w.take();
      if (buffer.size() != m.size())
        state.SkipWithError("it is written otherwise than it was read");
    }
  count_messages(state, messages);
}
BENCHMARK(reencode_oasis);

void parse_batch_of_16(benchmark::State& state) {
  message_options options;
  options.version = {1, 4};
  const std::vector<request> asked(16, get_key{"k1"});
  std::vector<batch_item_id> ids;
  for (std::uint8_t i = 1; i <= 16; ++i)
    ids.push_back({i});
  testing::fake_server server;
  const auto message = server.answer(*build_batch(asked, ids, options));
  for (auto _ : state)
    if (parse_batch(asked, ids, options, message).fault)
      state.SkipWithError("the batch is not accepted");
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations()) * 16);
}
BENCHMARK(parse_batch_of_16);

/// Get through a session: written, answered by a server without a network, read; the arguments are
/// messages in flight and requests in a message.
void session_gets(benchmark::State& state) {
  session_options options;
  options.in_flight_max = static_cast<std::size_t>(state.range(0));
  options.batch_max = static_cast<std::size_t>(state.range(1));
  options.assumed = protocol_version{1, 4};
  options.new_id = [n = std::uint64_t{0}]() mutable {
    batch_item_id id{};
    for (std::size_t i = 0; i < id.size(); ++i)
      id[i] = static_cast<std::uint8_t>(n >> (8U * i));
    ++n;
    return id;
  };
  session client(std::move(options));
  testing::fake_server server;
  std::vector<crypto::wiped_bytes> wire = client.start().output;
  std::size_t completed = 0;
  const auto run = [&] {
    while (!wire.empty()) {
      const auto sent = std::exchange(wire, {});
      for (const auto& message : sent) {
        auto step = client.feed(server.answer(message));
        completed += step.completed.size();
        for (auto& m : step.output)
          wire.push_back(std::move(m));
      }
    }
    server.seen.clear();
    server.batches.clear();
  };
  run();
  std::uint64_t ticket = 0;
  for (auto _ : state) {
    for (int i = 0; i < 64; ++i) {
      auto step = client.submit(++ticket, get_key{"k1"});
      for (auto& m : step.output)
        wire.push_back(std::move(m));
    }
    run();
  }
  if (completed != ticket || client.closed())
    state.SkipWithError("a request was not answered");
  state.SetItemsProcessed(static_cast<std::int64_t>(ticket));
}
BENCHMARK(session_gets)->Args({1, 1})->Args({64, 1})->Args({4, 16});

} // namespace
