#include "cluster/replica/raft_store.hpp"

#include "cluster/replica/disk.hpp"
#include "cluster/replica/wire.hpp"
#include "cluster/state_image.hpp"
#include "tests/unit/cluster/replica/first_replica.hpp"

#include <gtest/gtest.h>

namespace custos::cluster::replica {

namespace {

using raft::entry;
using raft::entry_kind;
using raft::member_role;

entry command_of(const std::string& text, raft::term_number term = 1) {
  return {term, entry_kind::command, std::make_shared<const bytes>(to_bytes(text)), nullptr};
}

class raft_store : public testing::Test {
protected:
  raft_store() {
    test::fill_first(*store, test::info_of("n1"));
    log.emplace(load_replica(*store).value());
  }
  void write(const raft::write& w) {
    rocksdb::write_batch batch;
    log->add(batch, w);
    ASSERT_TRUE(store->write(batch).ok());
  }
  void append(raft::log_index first, std::vector<entry> entries) {
    raft::write w;
    w.durable = raft::durable_state{9, 1};
    w.first = first;
    w.entries = std::move(entries);
    write(w);
  }
  /// The commands in the log, as they would be found.
  std::string found() {
    const auto loaded = load_replica(*store);
    if (!loaded)
      return loaded.failure().message;
    std::string out = std::to_string(loaded->base.index) + ":";
    for (const auto& e : loaded->entries)
      out += e.command ? std::string(as_text(*e.command)) : "-";
    return out;
  }
  error refused() {
    const auto loaded = load_replica(*store);
    EXPECT_FALSE(loaded.ok());
    return loaded.ok() ? error{} : loaded.failure();
  }
  void put(const std::string& key, const bytes& value) {
    rocksdb::write_batch batch;
    batch.put(key, value);
    ASSERT_TRUE(store->write(batch).ok());
  }
  void erase(const std::string& key) {
    rocksdb::write_batch batch;
    batch.erase(key);
    ASSERT_TRUE(store->write(batch).ok());
  }

  std::shared_ptr<rocksdb::kv_store> store = rocksdb::make_memory_store();
  std::optional<stored_log> log;
};

const std::string entry_3 = "raft/entry/0000000000000003";

} // namespace

TEST_F(raft_store, the_first_replica_votes_alone) {
  const auto loaded = load_replica(*store);
  ASSERT_TRUE(loaded.ok()) << loaded.failure().message;
  EXPECT_EQ(loaded->self, 1U);
  EXPECT_TRUE(loaded->introduction.empty());
  EXPECT_EQ(loaded->durable, (raft::durable_state{1, 0}));
  EXPECT_EQ(loaded->base.index, 1U);
  ASSERT_EQ(loaded->base.members->size(), 1U);
  EXPECT_EQ(loaded->base.members->front().role, member_role::voter);
  EXPECT_EQ(read_member_info(loaded->base.members->front().info)->name, "n1");
  EXPECT_TRUE(loaded->entries.empty());
}

TEST_F(raft_store, one_that_joins_knows_whom_to_listen_to) {
  const auto empty = rocksdb::make_memory_store();
  EXPECT_EQ(load_replica(*empty).failure().code, errc::not_found);
  const raft::membership members{{1, member_role::voter, "a"}, {7, member_role::standby, "b"}};
  rocksdb::write_batch batch;
  add_joining_replica(batch, 7, members);
  ASSERT_TRUE(empty->write(batch).ok());
  const auto loaded = load_replica(*empty);
  ASSERT_TRUE(loaded.ok()) << loaded.failure().message;
  EXPECT_EQ(loaded->self, 7U);
  EXPECT_EQ(loaded->introduction, members);
  EXPECT_EQ(loaded->durable, raft::durable_state{});
  EXPECT_EQ(loaded->base.index, 0U);
  EXPECT_TRUE(loaded->base.members->empty());
}

TEST_F(raft_store, appends_and_truncates) {
  append(2, {command_of("b"), command_of("c"), command_of("d")});
  EXPECT_EQ(found(), "1:bcd");
  append(5, {command_of("e")});
  EXPECT_EQ(found(), "1:bcde");
  append(3, {command_of("x", 2)});
  EXPECT_EQ(found(), "1:bx");
  append(4, {});
  EXPECT_EQ(found(), "1:bx");
  append(2, {});
  EXPECT_EQ(found(), "1:");
  append(2, {command_of("z", 3)});
  EXPECT_EQ(found(), "1:z");
  EXPECT_EQ(load_replica(*store)->durable, (raft::durable_state{9, 1}));
}

TEST_F(raft_store, compacts) {
  append(2, {command_of("b"), command_of("c"), command_of("d")});
  raft::write w;
  w.compacts = raft::log_base{3, 1, load_replica(*store)->base.members, 1};
  write(w);
  EXPECT_EQ(found(), "3:d");
  append(5, {command_of("e")});
  EXPECT_EQ(found(), "3:de");
  // Together, and once more from what was loaded.
  log.emplace(load_replica(*store).value());
  w.compacts->index = 5;
  w.first = 6;
  w.entries = {command_of("f")};
  write(w);
  EXPECT_EQ(found(), "5:f");
  EXPECT_EQ(store->scan("raft/entry/")->size(), 1U);
}

TEST_F(raft_store, installs_in_place_of_all_before) {
  append(2, {command_of("b"), command_of("c")});
  raft::write w;
  auto whole = std::make_shared<raft::snapshot>();
  whole->at = {
      40, 7,
      std::make_shared<const raft::membership>(raft::membership{{3, member_role::voter, "x"}}), 33};
  w.installs = whole;
  write(w);
  EXPECT_EQ(found(), "40:");
  EXPECT_EQ(load_replica(*store)->base.members_index, 33U);
  EXPECT_EQ(load_replica(*store)->base.term, 7U);
  // What follows it may come in the same write.
  whole = std::make_shared<raft::snapshot>(*whole);
  whole->at.index = 50;
  w.installs = whole;
  w.first = 51;
  w.entries = {command_of("y", 8)};
  write(w);
  EXPECT_EQ(found(), "50:y");
  EXPECT_EQ(store->scan("raft/entry/")->size(), 1U);
}

TEST_F(raft_store, an_entry_that_is_missing_is_found) {
  append(2, {command_of("b"), command_of("c"), command_of("d")});
  erase(entry_3);
  EXPECT_EQ(refused().code, errc::corrupted);
  EXPECT_NE(refused().message.find("raft/entry/0000000000000004"), std::string::npos);
}

TEST_F(raft_store, entries_that_do_not_fit_are_found) {
  append(2, {command_of("b", 4), command_of("c", 4), command_of("d", 4)});
  put(entry_3, encode(command_of("c", 3)));
  EXPECT_EQ(refused().code, errc::corrupted) << "terms never fall";
  EXPECT_NE(refused().message.find(entry_3), std::string::npos);
  put(entry_3, encode(command_of("c", 10)));
  EXPECT_EQ(refused().code, errc::corrupted) << "of a term that was never begun here";
  put(entry_3, {1, 2, 3});
  EXPECT_EQ(refused().code, errc::corrupted);
  EXPECT_NE(refused().message.find(entry_3), std::string::npos);
  put(entry_3, {9});
  EXPECT_EQ(refused().code, errc::unsupported) << "of a later version";
  put(entry_3, encode(command_of("c", 4)));
  EXPECT_EQ(found(), "1:bcd");
  put("raft/entry/x", encode(command_of("c", 4)));
  EXPECT_EQ(refused().code, errc::corrupted);
}

TEST_F(raft_store, damage_of_the_rest_is_found) {
  for (const std::string key : {"raft/self", "raft/state", "raft/base"}) {
    const auto good = store->get(key).value().value();
    for (std::size_t size = 1; size < good.size(); ++size) {
      put(key, to_bytes(byte_view(good).first(size)));
      EXPECT_EQ(refused().code, errc::corrupted) << key << ' ' << size;
    }
    auto longer = good;
    longer.push_back(0);
    put(key, longer);
    EXPECT_EQ(refused().code, errc::corrupted) << key;
    EXPECT_NE(refused().message.find(key), std::string::npos);
    auto later = good;
    later.front() = 2;
    put(key, later);
    EXPECT_EQ(refused().code, errc::unsupported) << key;
    put(key, good);
  }
  put("raft/introduction", {1, 9});
  EXPECT_EQ(refused().code, errc::corrupted);
  erase("raft/introduction");
  put("raft/self", bytes{1, 0, 0, 0, 0, 0, 0, 0, 0});
  EXPECT_EQ(refused().code, errc::corrupted) << "nobody's number";
}

TEST_F(raft_store, who_took_itself_out_does_not_come_back) {
  rocksdb::write_batch batch;
  add_out_of_service(batch, "its state differs");
  ASSERT_TRUE(store->write(batch).ok());
  EXPECT_EQ(refused().code, errc::corrupted);
  EXPECT_NE(refused().message.find("its state differs"), std::string::npos);
}

TEST_F(raft_store, a_state_that_is_not_in_the_log_is_found) {
  append(2, {command_of("b"), command_of("c")});
  for (const std::uint64_t applied : {0U, 1U, 2U, 3U, 4U}) {
    config_state state;
    state.set_applied(applied);
    rocksdb::write_batch batch;
    replace_everything(batch, state);
    ASSERT_TRUE(store->write(batch).ok());
    const auto loaded = load_state_of(*store, load_replica(*store).value());
    const bool fits = applied >= 1 && applied <= 3;
    EXPECT_EQ(loaded.ok(), fits) << applied;
    if (!loaded) {
      EXPECT_EQ(loaded.failure().code, errc::corrupted);
    }
  }
  rocksdb::write_batch gone;
  gone.erase_prefix("config/");
  ASSERT_TRUE(store->write(gone).ok());
  EXPECT_FALSE(load_state_of(*store, load_replica(*store).value()).ok())
      << "only who joins has no state";
}

TEST_F(raft_store, an_image_that_does_not_read_is_not_installed) {
  config_state state;
  state.set_applied(40);
  auto image = encode_state(state);
  image.at(20) ^= 1U;
  auto whole = std::make_shared<raft::snapshot>();
  whole->at = {40, 1, load_replica(*store)->base.members, 1};
  whole->data = std::make_shared<const bytes>(image);
  raft::write w;
  w.number = 1;
  w.installs = whole;
  disk_job job;
  job.writes = {w};
  const auto refused = perform(*store, *log, job);
  EXPECT_EQ(refused.written.failure().code, errc::corrupted);
  EXPECT_EQ(found(), "1:");
  whole = std::make_shared<raft::snapshot>(*whole);
  whole->data = std::make_shared<const bytes>(encode_state(state));
  job.writes.front().installs = whole;
  const auto done = perform(*store, *log, job);
  ASSERT_TRUE(done.written.ok()) << done.written.failure().message;
  EXPECT_EQ(done.installed->applied_index(), 40U);
  EXPECT_EQ(found(), "40:");
  EXPECT_EQ(load_state(*store)->applied_index(), 40U);
}

} // namespace custos::cluster::replica
