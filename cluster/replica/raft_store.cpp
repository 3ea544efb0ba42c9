#include "cluster/replica/raft_store.hpp"

#include "cluster/replica/octets.hpp"
#include "cluster/replica/wire.hpp"

namespace custos::cluster::replica {

namespace {

constexpr std::uint8_t version = 1;
constexpr std::string_view self_key = "raft/self";
constexpr std::string_view introduction_key = "raft/introduction";
constexpr std::string_view state_key = "raft/state";
constexpr std::string_view base_key = "raft/base";
constexpr std::string_view entry_prefix = "raft/entry/";
constexpr std::string_view out_of_service_key = "raft/out-of-service";
constexpr std::size_t index_digits = 16;

std::string entry_key(raft::log_index index) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string out(entry_prefix);
  for (std::size_t i = index_digits; i-- > 0;)
    out.push_back(digits[(index >> (4 * i)) & 15U]);
  return out;
}

error damaged(std::string_view key, const std::string& how) {
  return make_error(errc::corrupted, "stored log: " + std::string(key) + ": " + how);
}

/// What is stored must read; a version of the future is told as such.
template <class T>
result<T> or_damaged(result<T> read, std::string_view key) {
  if (!read && read.failure().code != errc::unsupported)
    return damaged(key, read.failure().message);
  return read;
}

result<std::optional<std::pair<std::uint64_t, std::uint64_t>>>
read_numbers(const rocksdb::kv_store& store, std::string_view key, unsigned count) {
  CUSTOS_TRY(const auto value, store.get(key));
  if (!value)
    return std::optional<std::pair<std::uint64_t, std::uint64_t>>{};
  octet_reader in(*value);
  const auto v = in.u8();
  const auto first = in.u64();
  const auto second = count > 1 ? in.u64() : 0;
  if (v != version)
    return make_error(errc::unsupported, std::string(key) + " is of another version");
  if (!in.complete())
    return damaged(key, "it does not have its form");
  return std::optional(std::pair(first, second));
}

void put_numbers(rocksdb::write_batch& batch, std::string_view key, std::uint64_t first,
                 std::optional<std::uint64_t> second = std::nullopt) {
  octet_writer out;
  out.u8(version);
  out.u64(first);
  if (second)
    out.u64(*second);
  batch.put(std::string(key), out.take());
}

result<void> load_entries(const rocksdb::kv_store& store, stored_replica& out) {
  CUSTOS_TRY(const auto found, store.scan(entry_prefix));
  auto term = out.base.term;
  for (const auto& one : found) {
    if (one.key != entry_key(out.base.index + out.entries.size() + 1))
      return damaged(one.key, "the entry before it is missing");
    CUSTOS_TRY(auto e, or_damaged(decode_entry(one.value), one.key));
    if (e.term < term || e.term > out.durable.term)
      return damaged(one.key, "its term does not fit");
    term = e.term;
    out.entries.push_back(std::move(e));
  }
  return {};
}

} // namespace

result<stored_replica> load_replica(const rocksdb::kv_store& store) {
  CUSTOS_TRY(const auto out_of_service, store.get(out_of_service_key));
  if (out_of_service)
    return make_error(errc::corrupted, "this replica took itself out of service: " +
                                           std::string(as_text(*out_of_service)));
  CUSTOS_TRY(const auto self, read_numbers(store, self_key, 1));
  if (!self)
    return make_error(errc::not_found, "the store holds no replica");
  stored_replica out;
  out.self = self->first;
  if (out.self == 0)
    return damaged(self_key, "expected a replica's number");
  CUSTOS_TRY(const auto introduction, store.get(introduction_key));
  if (introduction) {
    CUSTOS_TRY(out.introduction, or_damaged(decode_members(*introduction), introduction_key));
  }
  CUSTOS_TRY(const auto state, read_numbers(store, state_key, 2));
  if (state)
    out.durable = {state->first, state->second};
  CUSTOS_TRY(const auto base, store.get(base_key));
  if (base) {
    CUSTOS_TRY(out.base, or_damaged(decode_base(*base), base_key));
  }
  CUSTOS_CHECK(load_entries(store, out));
  return out;
}

void add_first_replica(rocksdb::write_batch& batch, const std::string& info) {
  const auto base = raft::bootstrap_base({{1, raft::member_role::voter, info}});
  put_numbers(batch, self_key, 1);
  put_numbers(batch, state_key, base.term, 0);
  batch.put(std::string(base_key), encode(base));
}

void add_joining_replica(rocksdb::write_batch& batch, raft::replica_id self,
                         const raft::membership& introduction) {
  put_numbers(batch, self_key, self);
  batch.put(std::string(introduction_key), encode(introduction));
}

void add_out_of_service(rocksdb::write_batch& batch, const std::string& why) {
  batch.put(std::string(out_of_service_key), why);
}

void stored_log::erase(rocksdb::write_batch& batch, raft::log_index first, raft::log_index last) {
  for (auto i = first; i <= last; ++i)
    batch.erase(entry_key(i));
}

void stored_log::add(rocksdb::write_batch& batch, const raft::write& w) {
  if (w.durable)
    put_numbers(batch, state_key, w.durable->term, w.durable->voted_for);
  if (w.installs) {
    erase(batch, base_ + 1, last_);
    batch.put(std::string(base_key), encode(w.installs->at));
    base_ = w.installs->at.index;
    last_ = base_;
  }
  if (w.first != 0) {
    erase(batch, w.first + w.entries.size(), last_);
    last_ = w.first - 1;
    for (const auto& e : w.entries)
      batch.put(entry_key(++last_), encode(e));
  }
  if (w.compacts && w.compacts->index > base_) {
    erase(batch, base_ + 1, w.compacts->index);
    batch.put(std::string(base_key), encode(*w.compacts));
    base_ = w.compacts->index;
  }
}

} // namespace custos::cluster::replica
