#include "actors/keyprovider/use_records_actor.hpp"

#include "tests/actors/deterministic.hpp"

#include <gtest/gtest.h>

namespace custos::keyprovider {
namespace {

/// A store that can be told to fail.
class failing_store : public rocksdb::kv_store {
public:
  result<std::optional<bytes>> get(std::string_view key) const override { return held->get(key); }
  result<std::vector<rocksdb::kv_entry>> scan(std::string_view prefix) const override {
    return held->scan(prefix);
  }
  result<void> write(const rocksdb::write_batch& batch, rocksdb::durability how) override {
    ++writes;
    if (fail)
      return make_error(errc::storage_failure, "disk full");
    return held->write(batch, how);
  }
  std::shared_ptr<rocksdb::kv_store> held = rocksdb::make_memory_store();
  bool fail = false;
  int writes = 0;
};

class use_records_test : public test::deterministic {
protected:
  void begin() {
    auto loaded = load_uses(*store, 1000);
    ASSERT_TRUE(loaded) << loaded.failure().message;
    uses = *loaded;
    writer = own(spawn_use_records_scheduled(
        system, {store, uses, [this](const error& e) { complaints.push_back(e); }}));
    run();
  }
  std::vector<primary_key_uses> stored() const {
    const auto again = load_uses(*store, 9999);
    EXPECT_TRUE(again);
    return again ? (*again)->of("vault") : std::vector<primary_key_uses>{};
  }

  std::shared_ptr<failing_store> store = std::make_shared<failing_store>();
  std::shared_ptr<use_table> uses;
  use_records_api writer;
  std::vector<error> complaints;
};

TEST_F(use_records_test, writes_once_a_minute_what_changed) {
  begin();
  const auto before = store->writes;
  for (int i = 0; i < 1000; ++i)
    uses->count("vault", "pk-1", counted_use::decrypt, 1001);
  advance(std::chrono::seconds(uses_written_every_s - 1));
  EXPECT_EQ(store->writes, before);
  advance(std::chrono::seconds(1));
  EXPECT_EQ(store->writes, before + 1);
  ASSERT_EQ(stored().size(), 1U);
  EXPECT_EQ(stored()[0].decrypts, 1000U);
  advance(std::chrono::seconds(2 * uses_written_every_s));
  EXPECT_EQ(store->writes, before + 1) << "nothing changed";
}

TEST_F(use_records_test, writes_when_it_ends) {
  begin();
  uses->count("vault", "pk-1", counted_use::rewrap, 1001);
  caf::anon_send_exit(writer, caf::exit_reason::user_shutdown);
  run();
  ASSERT_EQ(stored().size(), 1U);
  EXPECT_EQ(stored()[0].rewraps, 1U);
}

TEST_F(use_records_test, what_could_not_be_written_is_written_later) {
  begin();
  store->fail = true;
  uses->count("vault", "pk-1", counted_use::decrypt, 1001);
  ASSERT_TRUE(ask<drained>(writer, drain{}));
  ASSERT_EQ(complaints.size(), 1U);
  EXPECT_TRUE(stored().empty());
  store->fail = false;
  ASSERT_TRUE(ask<drained>(writer, drain{}));
  EXPECT_EQ(stored().size(), 1U);
}

TEST_F(use_records_test, counting_began_when_the_store_was_made) {
  begin();
  EXPECT_EQ(uses->since(), 1000);
  const auto again = load_uses(*store, 5000);
  ASSERT_TRUE(again);
  EXPECT_EQ((*again)->since(), 1000);
  rocksdb::write_batch batch;
  batch.put("key-uses-since", std::string_view("soon"));
  ASSERT_TRUE(store->write(batch, rocksdb::durability::synced));
  EXPECT_EQ(load_uses(*store, 1).failure().code, errc::corrupted);
}

} // namespace
} // namespace custos::keyprovider
